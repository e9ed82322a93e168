-- needs: hub places messages activities indexes instances
--
-- Apply a batch, whole or not at all. ARGV[1]: the batch as `wire.py` packs it.
--
-- Redis does not undo the first half of a script that fails in its second. So everything that can be
-- refused is checked before anything is written, and what follows cannot fail: the server refuses
-- a write for want of memory, for a broken disk or as a replica at the first one or not at all.

local batch = cmsgpack.unpack(ARGV[1])
local lane, epoch, number, hint = batch[1], batch[2], batch[3], batch[4]
local creates, turns, messages, activities = batch[5], batch[6], batch[7], batch[8]
local finished, parks, released, returned = batch[9], batch[10], batch[11], batch[12]
local acknowledged = batch[13]

-- --- first pass: checks ---------------------------------------------------------------------------

local standing = call('HMGET', lane_key(lane), 'epoch', 'number')
if standing[1] ~= epoch then return {'lane', standing[1] or ''} end
-- The lane knows which of its batches was acknowledged last. Another one here means that the server
-- has lost some: it failed over to a replica that lagged, or restarted from an older file.
if standing[2] ~= acknowledged then return {'gap', standing[2]} end

-- Where the instances that this batch touches stand: the execution, its number of turns, and what
-- the writes need to know. False if the lane does not own the instance, or no more.
local tips = {}

local refused, refused_at = {}, {}
local taken, replaced = {}, {}
for n, new in ipairs(creates) do
  local id, replace, only_child_of = new[1], new[7], new[8]
  local free = not taken[id]
  if free then
    local row = call('HMGET', instance_key(id), 'done', 'status', 'pid')
    if row[2] then
      free, replaced[id] = false, true
      if row[1] and (not only_child_of or only_child_of == row[3]) then
        for _, status in ipairs(replace) do free = free or status == row[2] end
      end
    end
    taken[id] = true
  end
  if not free then
    refused[#refused + 1] = n - 1
    refused_at[n] = true
  else
    tips[id] = new[6] and {execution = new[2], turns = 0, status = 'PENDING', created = new[4],
      new = true}
  end
end

local function stands(id)
  local row = call('HMGET', instance_key(id), 'exec', 'lane', 'status', 'created', 'urgent')
  if row[2] ~= lane then return false end
  return {execution = row[1], turns = call('LLEN', history_key(id)), status = row[3],
    created = row[4], urgent = row[5]}
end

local used = {}
for _, turn in ipairs(turns) do
  local id, sequence, consumed, after = turn[1], turn[3], turn[5], turn[10]
  local tip = tips[id]
  if tip == nil then tip = stands(id) end
  if not tip or tip.ended or tip.execution ~= turn[2] then return {'owner', id, sequence, turn[2]} end
  if tip.turns ~= sequence then return {'clash', id, sequence, tip.turns} end
  for first = 1, #consumed, AT_ONCE do
    local last = math.min(first + AT_ONCE - 1, #consumed)
    local instants = call('ZMSCORE', inbox_key(id), unpack(consumed, first, last))
    for n, instant in ipairs(instants) do
      local message = consumed[first + n - 1]
      if not instant or used[message] then return {'message', id, sequence, message} end
      used[message] = true
    end
  end
  if after then
    tip.execution, tip.turns = after[1], 0
  elseif turn[9] then
    tip.ended = true
  else
    tip.turns = tip.turns + 1
  end
  tips[id] = tip
end

-- --- second pass: writes --------------------------------------------------------------------------

call('HSET', lane_key(lane), 'number', number, 'result', '')

local function create(new)
  local id, execution, name, created, fields = new[1], new[2], new[3], new[4], new[5]
  local owned, parent, tags = new[6], new[10], new[11]
  if replaced[id] then remove(id) end
  if owned then
    fields[#fields + 1] = 'lane'
    fields[#fields + 1] = lane
  end
  call('HSET', instance_key(id), 'exec', execution, 'name', name, 'created', created,
    'status', 'PENDING', 'busy', 1, unpack(fields))
  index(id, name, created, tags)
  move(id, created, false, 'PENDING')
  if parent then call('SADD', children_key(parent), id) end
  if owned then
    call('SADD', owned_key(lane), id)
  else
    settle_later(id)
  end
end

local function finish(id)
  call('HDEL', instance_key(id), 'lane', 'busy', 'suspect', 'urgent')
  call('SREM', owned_key(lane), id)
  call('ZREM', mail_key(lane), id)
  call('UNLINK', bodies_key(id), inbox_key(id), urgent_key(id))
end

local function go_on(id, after, tip)
  call('UNLINK', history_key(id))
  call('HSET', instance_key(id), 'exec', after[1], 'status', 'RUNNING', 'busy', 1, unpack(after[2]))
  if #after[3] > 0 then call('HDEL', instance_key(id), unpack(after[3])) end
  if call('EXISTS', inbox_key(id)) == 1 then drop_bound(id, tip.urgent) end
  move(id, tip.created, tip.status, 'RUNNING')
  tip.status, tip.new = 'RUNNING', false
end

local function write_turn(turn)
  local id, consumed, timers, status, after = turn[1], turn[5], turn[6], turn[8], turn[10]
  local fields, cleared, to_children = turn[7], turn[11], turn[12]
  local tip = tips[id]
  call('RPUSH', history_key(id), turn[4])
  call('HSET', instance_key(id), unpack(fields))
  if #cleared > 0 then call('HDEL', instance_key(id), unpack(cleared)) end
  if turn[3] == 0 and not tip.new then call('HDEL', instance_key(id), 'carryover') end
  if #consumed > 0 then drop(id, consumed, tip.urgent) end
  for _, timer in ipairs(timers) do put(id, timer[2], timer[4], timer[5]) end
  if status then
    move(id, tip.created, tip.status, status)
    tip.status = status
  end
  if to_children then
    for _, child in ipairs(call('SMEMBERS', children_key(id))) do
      deliver({child, to_children, false, 0, true, true})
    end
  end
  if after then go_on(id, after, tip) end
  if turn[9] then
    call('ZADD', prefix .. 'x:done', turn[9], id)
    finish(id)
  end
end

for n, new in ipairs(creates) do
  if not refused_at[n] then
    create(new)
  elseif new[9] then
    deliver(new[9])
  end
end
for _, turn in ipairs(turns) do write_turn(turn) end
local missing = {}
for n, message in ipairs(messages) do
  if not deliver(message) then missing[#missing + 1] = n - 1 end
end
for _, row in ipairs(activities) do enqueue(row[1], row[2], row[3], row[4], row[5]) end
for _, outcome in ipairs(finished) do
  if is_claimed(outcome[1], outcome[2]) then
    dequeue(outcome[1])
    deliver(outcome[3])
  end
end
for _, park in ipairs(parks) do
  local row = call('HMGET', instance_key(park[1]), 'lane', 'exec')
  if row[1] == lane and row[2] == park[2] then
    call('HSET', instance_key(park[1]), 'parked', park[3])
    if park[4] then
      call('HSET', instance_key(park[1]), 'code', park[4])
      call('SADD', parked, park[1])
    end
    disown(lane, park[1])
  end
end
for _, release in ipairs(released) do
  local id = release[1]
  if call('HGET', instance_key(id), 'lane') == lane then
    if release[2] then
      call('HSET', instance_key(id), 'busy', 1)
    else
      call('HDEL', instance_key(id), 'busy')
    end
    disown(lane, id)
  end
end
for _, claim in ipairs(returned) do
  if is_claimed(claim[1], claim[2]) then give_back(claim[1]) end
end

settle_all()
save_moves()
save_counter()
if #refused + #missing > 0 then
  call('HSET', lane_key(lane), 'result', cmsgpack.pack({refused, missing}))
end
announce(hint)
return {'ok', refused, missing}
