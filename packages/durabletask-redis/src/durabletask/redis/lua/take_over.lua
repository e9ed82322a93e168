-- needs: hub places activities lanes
--
-- End the lanes whose lease has expired. ARGV: how much to give up at this call. Returns how many
-- lanes were ended by this call, and whether there is more to give up.

local ended, budget = 0, tonumber(ARGV[1])
for _, id in ipairs(call('ZRANGEBYSCORE', lanes, '-inf', now)) do
  if call('HEXISTS', lane_key(id), 'ending') == 0 then
    fence(id, 'crash')
    ended = ended + 1
  end
  if budget > 0 then budget = give_up(id, budget) end
end
settle_all()
return {ended, budget > 0 and 0 or 1}
