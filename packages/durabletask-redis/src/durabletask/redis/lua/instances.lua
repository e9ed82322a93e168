-- Rows of instances and the indexes over them.
--
-- Members of most indexes are the creation instant in 17 digits and the id, all with the score 0: their
-- order as bytes is the order of queries, and a page begins at any member, there or gone.

-- The index of statuses is written once a script and instance: from what it was to what it is.
local moved = {}

local function move(id, created, from, to)
  if moved[id] then
    moved[id].to = to
  else
    moved[id] = {member = created .. id, from = from, to = to}
  end
end

local function save_moves()
  for id, move in pairs(moved) do
    if move.from ~= move.to then
      local index = indexes_of(id) .. 'status:'
      if move.from then call('ZREM', index .. move.from, move.member) end
      if move.to then call('ZADD', index .. move.to, 0, move.member) end
    end
  end
end

local function tag_index(id, name, value)
  return indexes_of(id) .. 'tag:' .. #name .. ':' .. name .. '=' .. value
end

local function index(id, name, created, tags)
  local member, indexes = created .. id, indexes_of(id)
  call('ZADD', indexes .. 'all', 0, member)
  call('ZADD', prefix .. 'x:id', 0, id)
  call('ZADD', indexes .. 'name:' .. name, 0, member)
  if tags then
    for tag, value in pairs(cmsgpack.unpack(tags)) do
      call('ZADD', tag_index(id, tag, value), 0, member)
    end
  end
end

-- Delete an instance with all that belongs to it. It is finished or idle, so no list has it.
local function remove(id)
  local row = call('HMGET', instance_key(id), 'name', 'created', 'status', 'tags', 'pid')
  local member, indexes = row[2] .. id, indexes_of(id)
  call('ZREM', indexes .. 'all', member)
  call('ZREM', prefix .. 'x:id', id)
  call('ZREM', indexes .. 'name:' .. row[1], member)
  call('ZREM', prefix .. 'x:done', id)
  call('ZREM', indexes .. 'status:' .. row[3], member)
  if row[4] then
    for tag, value in pairs(cmsgpack.unpack(row[4])) do
      call('ZREM', tag_index(id, tag, value), member)
    end
  end
  if row[5] then call('SREM', children_key(row[5]), id) end
  for _, number in ipairs(call('HKEYS', queued_key(id))) do dequeue(number) end
  call('UNLINK', instance_key(id), history_key(id), bodies_key(id), inbox_key(id), urgent_key(id),
    queued_key(id))
end
