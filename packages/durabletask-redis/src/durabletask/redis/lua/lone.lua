-- The batches of one turn, by far the most frequent ones: each has a script that does what
-- `commit.lua` does for it, without all that it needs not. What they have in common stands here.
--
-- ARGV: lane, epoch, number of the last acknowledged batch, of this one, hint; instance, execution,
-- chunk of history; what the turn needs besides.
-- They return 0 if the batch is refused; nothing was written, and `commit` will say why.

local call, prefix = redis.call, KEYS[1]
local id = ARGV[6]
local lane, instance, history = prefix .. 'lane:' .. ARGV[1], prefix .. 'i:' .. id, prefix .. 'h:' .. id

local standing = call('HMGET', lane, 'epoch', 'number')
if standing[1] ~= ARGV[2] or standing[2] ~= ARGV[3] then return 0 end

-- All is checked: the first of the writes.
local function write_chunk()
  call('HSET', lane, 'number', ARGV[4], 'result', '')
  call('RPUSH', history, ARGV[8])
end

local function announced()
  local hint = ARGV[5]
  if hint ~= '' then
    redis.pcall(string.sub(hint, 1, 1) == 's' and 'SPUBLISH' or 'PUBLISH', prefix .. 'wake', hint)
  end
  return 1
end
