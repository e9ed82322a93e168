-- needs: hub
--
-- Chunks of an execution. ARGV: instance and execution, the first chunk and how many at most.

if call('HGET', instance_key(ARGV[1]), 'exec') ~= ARGV[2] then return {} end
return call('LRANGE', history_key(ARGV[1]), ARGV[3], ARGV[3] + ARGV[4] - 1)
