-- needs: hub
--
-- Names of due work that nobody has claimed. ARGV: for how many microseconds at least.
-- Returns {name, count, ...} of orchestrations, and of activities.

local since = string.format('%.0f', now - tonumber(ARGV[1]))

local function waiting(names, key)
  local found = {}
  for _, name in ipairs(call('SMEMBERS', names)) do
    local count = call('ZCOUNT', key(name), '-inf', since)
    if count > 0 then
      found[#found + 1] = name
      found[#found + 1] = count
    elseif call('EXISTS', key(name)) == 0 then
      call('SREM', names, name)
    end
  end
  return found
end

return {waiting(due_names, due_key), waiting(queue_names, queue_key)}
