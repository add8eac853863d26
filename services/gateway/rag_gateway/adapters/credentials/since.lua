-- What was revoked after a place in the log: where the log is at, then names and when they end.
-- KEYS: the log by place, the log by end, the last place. ARGV: the place, and how many at most.
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'LIMIT', 0, ARGV[2])
local place = redis.call('GET', KEYS[3]) or '0'
if #found == tonumber(ARGV[2]) then
  place = redis.call('ZSCORE', KEYS[1], found[#found])
end
local reply = {place}
for _, name in ipairs(found) do
  reply[#reply + 1] = name
  reply[#reply + 1] = redis.call('ZSCORE', KEYS[2], name) or '0'
end
return reply
