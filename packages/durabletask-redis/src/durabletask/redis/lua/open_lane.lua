-- needs: hub places activities lanes
--
-- Register a lane and unpark what its code may be able to go on with.
-- ARGV: epoch, worker, lease in microseconds, its orchestrations (name to code) and its activities,
-- both packed. Returns its id, the clock, and the names that each live lane knows, both sorts packed.

local orchestrations = cmsgpack.unpack(ARGV[4])
local id = tostring(call('INCR', prefix .. 'lane-ids'))
call('HSET', lane_key(id), 'epoch', ARGV[1], 'number', 0, 'result', '', 'poll', 0,
  'worker', ARGV[2], 'lease', ARGV[3], 'orchestrations', ARGV[4], 'activities', ARGV[5])
call('ZADD', lanes, now + tonumber(ARGV[3]), id)
for _, instance in ipairs(call('SMEMBERS', parked)) do
  local row = call('HMGET', instance_key(instance), 'name', 'code')
  local code = row[1] and orchestrations[row[1]]
  if code and row[2] and code ~= row[2] then unpark(instance) end
end
settle_all()
return {id, now, live_lanes()}
