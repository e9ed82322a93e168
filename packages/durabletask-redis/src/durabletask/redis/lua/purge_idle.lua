-- needs: hub activities indexes instances
--
-- Delete those instances that are PENDING and wait for nothing: they have had a turn in their
-- execution, and have neither an owner nor a message, visible or not, nor queued activities. ARGV: ids.
-- Returns how many were deleted.
--
-- Scripts run one after another, so a batch is applied before this or after it as a whole: what it has
-- not found it has created.

local deleted = 0
for _, id in ipairs(ARGV) do
  local row = call('HMGET', instance_key(id), 'status', 'lane', 'busy', 'parked')
  if row[1] == 'PENDING' and not (row[2] or row[3] or row[4])
    and call('EXISTS', history_key(id)) == 1
    and call('EXISTS', inbox_key(id), queued_key(id)) == 0 then
    remove(id)
    deleted = deleted + 1
  end
end
return deleted
