-- needs: lone indexes
--
-- The last turn of an instance.
-- ARGV from 9: turns so far; instant, status; how many fields to clear, those, and fields to set
-- with their values.

local row = call('HMGET', instance, 'lane', 'exec', 'status', 'created')
if row[1] ~= ARGV[1] or row[2] ~= ARGV[7] then return 0 end
if call('LLEN', history) ~= tonumber(ARGV[9]) then return 0 end

write_chunk()
local member, cleared = row[4] .. id, tonumber(ARGV[12])
local statuses = indexes_of(id) .. 'status:'
call('HSET', instance, 'status', ARGV[11], 'done', ARGV[10], unpack(ARGV, 13 + cleared))
call('HDEL', instance, 'lane', 'busy', 'suspect', 'urgent', unpack(ARGV, 13, 12 + cleared))
call('ZREM', statuses .. row[3], member)
call('ZADD', statuses .. ARGV[11], 0, member)
call('ZADD', prefix .. 'x:done', ARGV[10], id)
call('SREM', lane .. ':own', id)
call('ZREM', lane .. ':mail', id)
call('UNLINK', prefix .. 'm:' .. id, prefix .. 'q:' .. id, prefix .. 'u:' .. id)
return announced()
