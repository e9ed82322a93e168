-- Where those look who may handle an instance: its owner's mail, or while it has no owner the list
-- of its name, and the urgent list whatever its name.
--
-- The score in a list is the instant from which the instance is due. One that is due already keeps
-- the place in the row that it has.

local settling = {}

-- Have an instance put where it belongs when the script has changed all it wants to change.
local function settle_later(id) settling[id] = true end

local function first_instant(key)
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

local function list(key, id, due)
  if not due then
    call('ZREM', key, id)
    return
  end
  if due <= now then
    local listed = call('ZSCORE', key, id)
    if listed and tonumber(listed) <= now then return end
    due = now
  end
  call('ZADD', key, due, id)
end

local function settle_free(id, name, busy, start, urgent)
  local due = first_instant(inbox_key(id))
  if busy or call('EXISTS', history_key(id)) == 0 then due = 0 end
  if due then
    due = math.max(due, tonumber(start))
    call('SADD', due_names, name)
  end
  list(due_key(name), id, due)
  if urgent then list(due_urgent, id, first_instant(urgent_key(id))) end
end

local function settle(id)
  local row = call('HMGET', instance_key(id), 'lane', 'name', 'done', 'parked', 'busy', 'start', 'urgent')
  local lane, name, done, set_aside = row[1], row[2], row[3], row[4]
  if not name then return end
  if lane then
    local at = first_instant(inbox_key(id))
    if at then
      call('ZADD', mail_key(lane), at, id)
    else
      call('ZREM', mail_key(lane), id)
    end
  elseif done or set_aside then
    call('ZREM', due_key(name), id)
    call('ZREM', due_urgent, id)
  else
    settle_free(id, name, row[5], row[6], row[7])
  end
end

local function settle_all()
  for id in pairs(settling) do settle(id) end
end

-- End the ownership of an instance.
local function disown(lane, id)
  call('HDEL', instance_key(id), 'lane')
  call('SREM', owned_key(lane), id)
  call('ZREM', mail_key(lane), id)
  settle_later(id)
end

-- Let a parked instance be claimed again.
local function unpark(id)
  call('HDEL', instance_key(id), 'parked', 'code')
  call('SREM', parked, id)
  settle_later(id)
end
