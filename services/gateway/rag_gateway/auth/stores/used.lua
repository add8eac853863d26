-- Records when API keys were last used, if they still exist. KEYS: hashes. ARGV: a time each.
for i, key in ipairs(KEYS) do
  local before = redis.call('HGET', key, 'last_used')
  if redis.call('EXISTS', key) == 1 and (not before or tonumber(before) < tonumber(ARGV[i])) then
    redis.call('HSET', key, 'last_used', ARGV[i])
  end
end
