-- needs: hub
--
-- Found the hub if there is none. ARGV: the version of the layout of keys. Returns the one there is.

call('HSETNX', prefix .. 'meta', 'schema', ARGV[1])
return {call('HGET', prefix .. 'meta', 'schema'), now}
