-- Lanes. One that ends is fenced first, by taking its epoch away; then it gives up what it holds,
-- some of it at each call, so that no call takes long. Until all is given up it stays in the list.

local ALWAYS_COUNTED = 2

local function live_lanes()
  local found = {}
  for _, id in ipairs(call('ZRANGEBYSCORE', lanes, '(' .. string.format('%.0f', now), '+inf')) do
    local row = call('HMGET', lane_key(id), 'orchestrations', 'activities')
    found[#found + 1] = row[1] or ''
    found[#found + 1] = row[2] or ''
  end
  return found
end

local function fence(id, how)
  call('HSET', lane_key(id), 'ending', how)
  call('HDEL', lane_key(id), 'epoch')
  call('ZADD', lanes, 0, id)
end

-- Below two crashes an instance need not have been a suspect to be blamed for one more.
local function blame(id)
  local row = call('HMGET', instance_key(id), 'busy', 'crashes', 'suspect')
  local at = first_instant(inbox_key(id))
  if (row[1] or (at and at <= now))
    and (tonumber(row[2] or 0) < ALWAYS_COUNTED or row[3]) then
    call('HINCRBY', instance_key(id), 'crashes', 1)
  end
end

-- Give up at most `budget` things that an ended lane holds; how much of the budget is left.
local function give_up(id, budget)
  local crashed = call('HGET', lane_key(id), 'ending') == 'crash'
  while budget > 0 do
    local instances = call('SRANDMEMBER', owned_key(id), math.min(budget, AT_ONCE))
    if #instances == 0 then break end
    for _, instance in ipairs(instances) do
      if crashed then blame(instance) end
      disown(id, instance)
    end
    budget = budget - #instances
  end
  while budget > 0 do
    local numbers = call('SRANDMEMBER', claimed_key(id), math.min(budget, AT_ONCE))
    if #numbers == 0 then break end
    for _, number in ipairs(numbers) do
      if crashed then call('HINCRBY', activity_key(number), 'crashes', 1) end
      give_back(number)
    end
    budget = budget - #numbers
  end
  if budget > 0 then
    call('UNLINK', lane_key(id), owned_key(id), mail_key(id), claimed_key(id), given_key(id))
    call('ZREM', lanes, id)
  end
  return budget
end
