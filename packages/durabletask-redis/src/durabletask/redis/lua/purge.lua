-- needs: hub activities indexes instances
--
-- Delete those instances that are finished. ARGV: ids. Returns how many were deleted.

local deleted = 0
for _, id in ipairs(ARGV) do
  if call('HEXISTS', instance_key(id), 'done') == 1 then
    remove(id)
    deleted = deleted + 1
  end
end
return deleted
