-- Reads revocations after a log position: returns the new position, then names and expiry times.
-- KEYS: the log by position, the log by expiry, the last position. ARGV: the position, the maximum number.
local names = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'LIMIT', 0, ARGV[2])
local position = redis.call('GET', KEYS[3]) or '0'
if #names == tonumber(ARGV[2]) then
  position = redis.call('ZSCORE', KEYS[1], names[#names])
end
local reply = {position}
for _, name in ipairs(names) do
  reply[#reply + 1] = name
  reply[#reply + 1] = redis.call('ZSCORE', KEYS[2], name) or '0'
end
return reply
