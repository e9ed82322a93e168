-- needs: hub places messages
--
-- Read the inboxes of owned instances, and claim due instances and activities.
-- ARGV: lane and epoch; the number of this call, and of the last one that was given something and
-- whose answer the caller has seen; the number of the last acknowledged batch; the interest packed:
-- orchestrations, activities, room for each, whether suspects are wanted, crashes of a suspect, and
-- versions that are refused ('' is none).
--
-- A claim whose answer is lost would belong to a lane that does not know of it. So what a call was
-- given is kept until a later one tells that its answer was seen; else it is handed out again.
--
-- A call that its sender has given up may still come, after one that was given something in its
-- place. It must be given nothing: to the lane that would be old news of what it knows.

local lane, number, seen = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local standing = call('HMGET', lane_key(lane), 'epoch', 'poll', 'number')
if standing[1] ~= ARGV[2] then return {'lane', standing[1] or ''} end
local last = tonumber(standing[2])
if last >= number then return {'late'} end
-- What a lane knows may be more than what the server has: it failed over to a replica that lagged,
-- or restarted from an older file. A lane with nothing to commit would wait without end for what
-- follows from a lost batch, or work on what others have been given since.
local acknowledged = tonumber(ARGV[5])
if last < seen then return {'gap', 'poll', seen, last} end
if tonumber(standing[3]) < acknowledged then
  return {'gap', 'batch', acknowledged, tonumber(standing[3])}
end
local interest = cmsgpack.unpack(ARGV[6])
local orchestrations, activities = interest[1], interest[2]
local instance_room, activity_room = interest[3], interest[4]
local suspects, probation_after = interest[5], interest[6]
local refused, refuses = {}, #interest[7] > 0
for _, version in ipairs(interest[7]) do refused[version] = true end

-- Names that begin with @ are not asked for their versions.
local function is_refused(name, version)
  return refused[version or ''] and string.sub(name, 1, 1) ~= '@'
end

local next_due
local after_now = '(' .. string.format('%.0f', now)

-- The next instant in a list of instants, if it is earlier than all so far, is when to look again.
local function look_ahead(key)
  local first = call('ZRANGEBYSCORE', key, after_now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  local at = first[2] and tonumber(first[2])
  if at and (not next_due or at < next_due) then next_due = at end
end

local PAGE = 200

-- As look_ahead, in a list of instances: those of refused versions are nothing to look for.
local function look_ahead_of(key)
  if not refuses then return look_ahead(key) end
  local offset = 0
  while true do
    local page = call('ZRANGEBYSCORE', key, after_now, '+inf', 'WITHSCORES', 'LIMIT', offset, PAGE)
    for n = 1, #page, 2 do
      local at = tonumber(page[n + 1])
      if next_due and at >= next_due then return end
      local row = call('HMGET', instance_key(page[n]), 'name', 'version')
      if not is_refused(row[1], row[2]) then
        next_due = at
        return
      end
    end
    if #page < 2 * PAGE then return end
    offset = offset + PAGE
  end
end

local mail = {}
for _, id in ipairs(call('ZRANGEBYSCORE', mail_key(lane), '-inf', now)) do
  mail[#mail + 1] = {id, visible(id)}
  look_ahead(inbox_key(id))
end

local given, instances, claimed = {}, {}, {}

local function hand_out_instance(id)
  given[#given + 1] = 'i' .. id
  local row = call('HMGET', instance_key(id), 'exec', 'name', 'version', 'status', 'input', 'tags',
    'parent', 'start', 'created', 'rec', 'busy', 'carryover', 'crashes')
  instances[#instances + 1] = {id, row, call('LLEN', history_key(id)), visible(id),
    call('HVALS', queued_key(id))}
end

local function hand_out_activity(number)
  given[#given + 1] = 'a' .. number
  claimed[#claimed + 1] = {number, call('HMGET', activity_key(number), 'claims', 'crashes', 'id',
    'exec', 'task', 'name', 'body')}
end

if last > seen then
  for _, what in ipairs(call('LRANGE', given_key(lane), 0, -1)) do
    local id = string.sub(what, 2)
    if string.sub(what, 1, 1) == 'i' then
      if call('HGET', instance_key(id), 'lane') == lane then hand_out_instance(id) end
    elseif call('HGET', activity_key(id), 'lane') == lane then
      hand_out_activity(id)
    end
  end
end

-- --- the oldest first, over several lists ---------------------------------------------------------

-- A reader of what is due in a list. Nothing is taken out of lists while they are read.
local function reader(key, wanted)
  return {key = key, size = math.min(wanted, PAGE), offset = 0, page = {}, at = 1}
end

local function head(list)
  if list.at > #list.page then
    if list.over then return nil end
    list.page = call('ZRANGEBYSCORE', list.key, '-inf', now, 'WITHSCORES',
      'LIMIT', list.offset, list.size)
    list.offset = list.offset + list.size
    list.over = #list.page < 2 * list.size
    list.at = 1
    if #list.page == 0 then return nil end
  end
  return tonumber(list.page[list.at + 1])
end

local function next_oldest(lists)
  local oldest, oldest_at, oldest_id
  for _, list in ipairs(lists) do
    local at = head(list)
    if at then
      local id = list.page[list.at]
      if not oldest or at < oldest_at or (at == oldest_at and id < oldest_id) then
        oldest, oldest_at, oldest_id = list, at, id
      end
    end
  end
  if oldest then oldest.at = oldest.at + 2 end
  return oldest_id, oldest and oldest.key
end

local function readers(keys, room)
  local lists = {}
  for n, key in ipairs(keys) do lists[n] = reader(key, room) end
  return lists
end

-- --- instances ------------------------------------------------------------------------------------

local due = {due_urgent}
for n, name in ipairs(orchestrations) do due[n + 1] = due_key(name) end

local chosen, rows = {}, {}
local room = instance_room - #instances
if room > 0 then
  local lists = readers(due, room)
  while #chosen < room do
    local id, key = next_oldest(lists)
    if not id then break end
    local row = not rows[id] and
      call('HMGET', instance_key(id), 'name', 'crashes', 'urgent', 'version')
    -- One of a refused version may come once more, from the urgent list.
    if row and (key == due_urgent or not is_refused(row[1], row[4])) then
      local suspect = tonumber(row[2] or 0) >= probation_after
      rows[id] = {name = row[1], suspect = suspect, urgent = row[3]}
      if not suspect or suspects then
        chosen[#chosen + 1] = id
        if suspect then suspects = false end
      end
    end
  end
end
for _, id in ipairs(chosen) do
  local row = rows[id]
  call('HSET', instance_key(id), 'lane', lane)
  if row.suspect then
    call('HSET', instance_key(id), 'suspect', 1)
  else
    call('HDEL', instance_key(id), 'suspect')
  end
  call('SADD', owned_key(lane), id)
  call('ZREM', due_key(row.name), id)
  if row.urgent then call('ZREM', due_urgent, id) end
  local first = first_instant(inbox_key(id))
  if first then
    call('ZADD', mail_key(lane), first, id)
    look_ahead(inbox_key(id))
  end
  hand_out_instance(id)
end

-- --- activities -----------------------------------------------------------------------------------

room = activity_room - #claimed
if room > 0 and #activities > 0 then
  local queues = {}
  for n, name in ipairs(activities) do queues[n] = queue_key(name) end
  local lists = readers(queues, room)
  local numbers = {}
  while #numbers < room do
    local number = next_oldest(lists)
    if not number then break end
    numbers[#numbers + 1] = number
  end
  for _, number in ipairs(numbers) do
    call('HINCRBY', activity_key(number), 'claims', 1)
    call('HSET', activity_key(number), 'lane', lane)
    call('ZREM', queue_key(call('HGET', activity_key(number), 'name')), number)
    call('SADD', claimed_key(lane), number)
    hand_out_activity(number)
  end
end

-- --- what was handed out, and when to look again --------------------------------------------------

if #given > 0 then
  last = number
  call('DEL', given_key(lane))
  call_each('RPUSH', given_key(lane), given)
  call('HSET', lane_key(lane), 'poll', string.format('%.0f', number))
end

look_ahead(due_urgent)
look_ahead(mail_key(lane))
for n = 2, #due do look_ahead_of(due[n]) end

return {'ok', now, string.format('%.0f', last), mail, instances, claimed, next_due or -1}
