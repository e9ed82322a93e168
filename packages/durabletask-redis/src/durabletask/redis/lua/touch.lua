-- needs: hub
--
-- Write something, so that WAIT on this connection speaks of all that was written before.

call('HINCRBY', prefix .. 'meta', 'touched', 1)
return 1
