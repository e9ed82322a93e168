-- The commonest batch: one turn of an owned instance that adds to its history and changes some
-- fields. As `commit.lua`, without all that this needs not: checks first, then writes.
-- ARGV: lane, epoch, number of the last acknowledged batch, of this one, hint; instance, execution, turns so
-- far, chunk; how many fields to clear, those, and fields to set with their values.
-- Returns 0 if it is refused; nothing was written, and `commit` will say why.

local call, prefix = redis.call, KEYS[1]
local lane, instance = prefix .. 'lane:' .. ARGV[1], prefix .. 'i:' .. ARGV[6]
local history = prefix .. 'h:' .. ARGV[6]

local standing = call('HMGET', lane, 'epoch', 'number')
if standing[1] ~= ARGV[2] or standing[2] ~= ARGV[3] then return 0 end
local row = call('HMGET', instance, 'lane', 'exec')
if row[1] ~= ARGV[1] or row[2] ~= ARGV[7] then return 0 end
if call('LLEN', history) ~= tonumber(ARGV[8]) then return 0 end

call('HSET', lane, 'number', ARGV[4], 'result', '')
call('RPUSH', history, ARGV[9])
local cleared = tonumber(ARGV[10])
if cleared > 0 then call('HDEL', instance, unpack(ARGV, 11, 10 + cleared)) end
call('HSET', instance, unpack(ARGV, 11 + cleared))
local hint = ARGV[5]
if hint ~= '' then
  redis.pcall(string.sub(hint, 1, 1) == 's' and 'SPUBLISH' or 'PUBLISH', prefix .. 'wake', hint)
end
return 1
