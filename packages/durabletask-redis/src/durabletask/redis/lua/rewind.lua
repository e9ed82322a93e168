-- needs: hub places messages activities indexes instances
--
-- Put rewound instances in the place of what has failed: all of them, or none. ARGV[1]: them, as
-- `wire.py` packs them. Returns whether anything was written, as 1 or 0.
--
-- As in `commit.lua`, everything is checked before anything is written. No lane is asked: a finished
-- instance has no owner, and scripts run one after another.

local rewound = cmsgpack.unpack(ARGV[1])

for _, new in ipairs(rewound) do
  local row = call('HMGET', instance_key(new[1]), 'exec', 'done')
  if row[1] ~= new[2] or (row[1] and not row[2]) then return 0 end
end

for _, new in ipairs(rewound) do
  local id, name, created, status = new[1], new[4], new[5], new[6]
  if new[2] then remove(id) end
  call('HSET', instance_key(id), 'exec', new[3], 'name', name, 'created', created,
    'status', status, 'busy', 1, unpack(new[7]))
  index(id, name, created, new[8])
  move(id, created, false, status)
  if new[9] then call('SADD', children_key(new[9]), id) end
  call_each('RPUSH', history_key(id), new[10])
  for _, message in ipairs(new[11]) do put(id, message[2], message[4], message[5]) end
  settle_later(id)
end

settle_all()
save_moves()
save_counter()
return 1
