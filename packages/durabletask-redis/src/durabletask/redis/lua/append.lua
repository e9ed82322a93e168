-- needs: lone
--
-- A turn in mid-life: it adds to the history and changes some fields.
-- ARGV from 9: turns so far; how many fields to clear, those, and fields to set with their values.

local row = call('HMGET', instance, 'lane', 'exec')
if row[1] ~= ARGV[1] or row[2] ~= ARGV[7] then return 0 end
if call('LLEN', history) ~= tonumber(ARGV[9]) then return 0 end

write_chunk()
local cleared = tonumber(ARGV[10])
if cleared > 0 then call('HDEL', instance, unpack(ARGV, 11, 10 + cleared)) end
call('HSET', instance, unpack(ARGV, 11 + cleared))
return announced()
