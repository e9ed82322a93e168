-- needs: hub
--
-- Tell those who listen that something was written. ARGV: who says so.

return call('PUBLISH', prefix .. 'wake', ARGV[1])
