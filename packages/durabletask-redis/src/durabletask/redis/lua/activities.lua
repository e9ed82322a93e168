-- The shared queue. Numbers of activities have 16 digits, so that texts sort as numbers do.

local function offer(number, name)
  call('ZADD', queue_key(name), now, number)
  call('SADD', queue_names, name)
end

local function enqueue(id, execution, task, name, body)
  local number = string.format('%016.0f', next_number())
  call('HSET', activity_key(number), 'id', id, 'exec', execution, 'task', task, 'name', name,
    'body', body, 'claims', 0)
  call('HSET', queued_key(id), number, cmsgpack.pack({execution, task}))
  offer(number, name)
end

-- Delete an activity, claimed or not.
local function dequeue(number)
  local row = call('HMGET', activity_key(number), 'id', 'name', 'lane')
  if not row[1] then return end
  call('UNLINK', activity_key(number))
  call('HDEL', queued_key(row[1]), number)
  call('ZREM', queue_key(row[2]), number)
  if row[3] then call('SREM', claimed_key(row[3]), number) end
end

local function give_back(number)
  local row = call('HMGET', activity_key(number), 'name', 'lane')
  call('HDEL', activity_key(number), 'lane')
  call('SREM', claimed_key(row[2]), number)
  offer(number, row[1])
end

-- Whether `token` is that of the current claim.
local function is_claimed(number, token)
  local row = call('HMGET', activity_key(number), 'lane', 'claims')
  return row[1] and tonumber(row[2]) == token
end
