-- needs: hub places activities lanes
--
-- End a lane in peace, if this epoch is its own. ARGV: its id and epoch, how much to give up at this
-- call. Returns whether there is more to give up.

local id = ARGV[1]
if call('HGET', lane_key(id), 'epoch') == ARGV[2] then fence(id, 'peace') end
if call('HGET', lane_key(id), 'ending') ~= 'peace' then return 0 end
local left = give_up(id, tonumber(ARGV[3]))
settle_all()
return left > 0 and 0 or 1
