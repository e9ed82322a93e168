-- needs: hub places activities lanes
--
-- Extend the lease of a lane. ARGV: its id and epoch. Returns as open_lane does, or the epoch it has.

local row = call('HMGET', lane_key(ARGV[1]), 'epoch', 'lease')
if row[1] ~= ARGV[2] then return {'lane', row[1] or ''} end
call('ZADD', lanes, now + tonumber(row[2]), ARGV[1])
return {ARGV[1], now, live_lanes()}
