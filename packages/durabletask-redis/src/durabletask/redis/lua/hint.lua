-- needs: hub
--
-- Tell those who listen that something was written. ARGV: who says so.

announce(ARGV[1])
return 1
