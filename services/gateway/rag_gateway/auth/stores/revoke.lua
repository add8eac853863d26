-- Adds a name to the log of revocations, and deletes expired entries from it.
-- KEYS: the log by position, the log by expiry, the last position; then the API key's hash, or the tenant's
-- revoked tokens by expiry. ARGV: now, name, until, and the tenant and "key", or the limit and "token".
local now, name, ends = ARGV[1], ARGV[2], ARGV[3]

if ARGV[5] == 'key' then
  if redis.call('HGET', KEYS[4], 'tenant') ~= ARGV[4] then return 0 end
  if redis.call('HEXISTS', KEYS[4], 'revoked') == 1 then return 1 end
  ends = redis.call('HGET', KEYS[4], 'expires')
  redis.call('HSET', KEYS[4], 'revoked', now)
else
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
  local full = redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[4])
  if full and not redis.call('ZSCORE', KEYS[4], name) then return 0 end
  redis.call('ZADD', KEYS[4], ends, name)
  redis.call('PEXPIREAT', KEYS[4], redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')[2])
end

for _, expired in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[1], expired)
  redis.call('ZREM', KEYS[2], expired)
end
redis.call('ZADD', KEYS[1], redis.call('INCR', KEYS[3]), name)
redis.call('ZADD', KEYS[2], ends, name)
return 1
