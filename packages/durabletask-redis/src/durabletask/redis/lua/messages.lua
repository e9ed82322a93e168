-- Inboxes. A stored message begins with the execution that it is bound to, or with a colon.

local UNBOUND = string.byte(':')

-- Put a message into an inbox: its body by its number, its number by the instant it is visible from
-- (0 is at once).
local function put(id, body, at, urgent)
  local number = next_number()
  if at <= now then at = 0 end
  call('HSET', bodies_key(id), number, body)
  call('ZADD', inbox_key(id), at, number)
  if urgent then
    call('ZADD', urgent_key(id), at, number)
    call('HSET', instance_key(id), 'urgent', 1)
  end
  settle_later(id)
end

-- Deliver {receiver, body, execution or false, visible at, urgent, unpark}. False if there is no
-- such receiver; a message to a finished one or to another execution is dropped.
local function deliver(message)
  local id, execution = message[1], message[3]
  local row = call('HMGET', instance_key(id), 'exec', 'done', 'parked')
  if not row[1] then return false end
  if not row[2] and (not execution or execution == row[1]) then
    put(id, message[2], message[4], message[5])
    if message[6] then
      call('HDEL', instance_key(id), 'crashes')
      if row[3] then unpark(id) end
    end
  end
  return true
end

local function drop(id, numbers, urgent)
  call_each('HDEL', bodies_key(id), numbers)
  call_each('ZREM', inbox_key(id), numbers)
  if urgent then
    call_each('ZREM', urgent_key(id), numbers)
    if call('EXISTS', urgent_key(id)) == 0 then
      call('HDEL', instance_key(id), 'urgent')
      call('ZREM', due_urgent, id)
    end
  end
  settle_later(id)
end

-- Drop what is bound to an execution: it has ended.
local function drop_bound(id, urgent)
  local bound = {}
  local all = call('HGETALL', bodies_key(id))
  for n = 1, #all, 2 do
    if string.byte(all[n + 1]) ~= UNBOUND then bound[#bound + 1] = all[n] end
  end
  drop(id, bound, urgent)
end

-- The visible messages of an instance, as {number, body, number, body, ...}.
local function visible(id)
  local numbers = call('ZRANGEBYSCORE', inbox_key(id), '-inf', now)
  local found = {}
  for first = 1, #numbers, AT_ONCE do
    local last = math.min(first + AT_ONCE - 1, #numbers)
    local bodies = call('HMGET', bodies_key(id), unpack(numbers, first, last))
    for n, body in ipairs(bodies) do
      found[#found + 1] = numbers[first + n - 1]
      found[#found + 1] = body
    end
  end
  return found
end
