-- needs: lone indexes
--
-- A new instance that the lane owns, and its first turn.
-- ARGV from 9: name, creation instant in 17 digits, status, tags packed or nothing; fields to set
-- with their values.

if call('EXISTS', instance) == 1 then return 0 end

write_chunk()
local member, indexes = ARGV[10] .. id, indexes_of(id)
call('HSET', instance, 'exec', ARGV[7], 'name', ARGV[9], 'created', ARGV[10], 'status', ARGV[11],
  'lane', ARGV[1], unpack(ARGV, 13))
call('ZADD', indexes .. 'all', 0, member)
call('ZADD', prefix .. 'x:id', 0, id)
call('ZADD', indexes .. 'name:' .. ARGV[9], 0, member)
call('ZADD', indexes .. 'status:' .. ARGV[11], 0, member)
if ARGV[12] ~= '' then
  for tag, value in pairs(cmsgpack.unpack(ARGV[12])) do
    call('ZADD', indexes .. 'tag:' .. #tag .. ':' .. tag .. '=' .. value, 0, member)
  end
end
call('SADD', lane .. ':own', id)
return announced()
