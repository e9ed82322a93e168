-- needs: hub
--
-- Settle an unknown commit: raise the epoch, which makes the request harmless wherever it still is,
-- then look. ARGV: id and epoch of the lane, the number of the batch. An epoch raised by a call
-- whose answer was lost is as good: what counts is the part of it that the lane was born with.
-- Returns the new epoch, whether the batch was applied, and its result; or the epoch there is.

local row = call('HMGET', lane_key(ARGV[1]), 'epoch', 'number', 'result')
local BIRTH = 1048576
if not row[1] or math.floor(row[1] / BIRTH) ~= math.floor(ARGV[2] / BIRTH) then
  return {'lane', row[1] or ''}
end
local epoch = string.format('%.0f', row[1] + 1)
call('HSET', lane_key(ARGV[1]), 'epoch', epoch)
return {'ok', epoch, row[2] == ARGV[3] and 1 or 0, row[3]}
