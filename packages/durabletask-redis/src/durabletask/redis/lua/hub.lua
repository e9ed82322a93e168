-- The hub: its keys, its clock, its counters. Stands before every script.
--
-- KEYS[1] is what all keys of the hub begin with, its hash tag included, so they share one slot and
-- a script may touch any of them. No key has that very name: while a cluster moves the slot away,
-- a missing key is answered with ASK before the script begins. So no script ever meets a slot that
-- is half here and half there, and none can fail between two of its writes for that reason.

local call, prefix = redis.call, KEYS[1]

local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function instance_key(id) return prefix .. 'i:' .. id end
local function history_key(id) return prefix .. 'h:' .. id end
local function bodies_key(id) return prefix .. 'm:' .. id end
local function inbox_key(id) return prefix .. 'q:' .. id end
local function urgent_key(id) return prefix .. 'u:' .. id end
local function children_key(id) return prefix .. 'k:' .. id end
local function queued_key(id) return prefix .. 'a:' .. id end
local function activity_key(id) return prefix .. 'act:' .. id end
local function due_key(name) return prefix .. 'due:' .. name end
local function queue_key(name) return prefix .. 'queue:' .. name end
local function lane_key(id) return prefix .. 'lane:' .. id end
local function owned_key(id) return prefix .. 'lane:' .. id .. ':own' end
local function mail_key(id) return prefix .. 'lane:' .. id .. ':mail' end
local function claimed_key(id) return prefix .. 'lane:' .. id .. ':act' end
local function given_key(id) return prefix .. 'lane:' .. id .. ':given' end

local due_names, queue_names = prefix .. 'due-names', prefix .. 'queue-names'
local due_urgent = prefix .. 'due-urgent'
local lanes, parked = prefix .. 'lanes', prefix .. 'parked'

-- Lua hands at most some thousand values to a call at once.
local AT_ONCE = 1000

local function call_each(command, key, values)
  for first = 1, #values, AT_ONCE do
    call(command, key, unpack(values, first, math.min(first + AT_ONCE - 1, #values)))
  end
end

-- Numbers for messages and activities: one counter, read and written once a script. It is never
-- behind the clock: a server that has lost its last writes, and the counter with them, must not
-- give a number again, or a lane that has read a lost message would take another one for it.
local counter

local function next_number()
  counter = math.max((counter or tonumber(call('GET', prefix .. 'numbers') or 0)) + 1, now)
  return counter
end

local function save_counter()
  if counter then call('SET', prefix .. 'numbers', string.format('%.0f', counter)) end
end

-- Tell those who listen that something was written; `hint` says who did, and begins with s on the
-- servers that have channels of a slot. A user who may not publish does without hints: that must
-- not end a script which has written something.
local function announce(hint)
  if hint ~= '' then
    redis.pcall(string.sub(hint, 1, 1) == 's' and 'SPUBLISH' or 'PUBLISH', prefix .. 'wake', hint)
  end
end
