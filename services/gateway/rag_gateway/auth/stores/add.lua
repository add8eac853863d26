-- Stores a new API key unless its tenant has reached the limit of usable keys: returns 1 if stored, else 0.
-- Of the revoked and expired keys only the newest are retained, up to the same limit.
-- KEYS: the tenant's key ids by creation time; the new key's hash.
-- ARGV: prefix of the hashes, now, the limit, the new key's id, creation time and time to delete it
-- (milliseconds), then the hash's fields and values.
local index, place = KEYS[1], KEYS[2]
local prefix, now, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local usable, unusable = 0, {}
for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  local key = redis.call('HMGET', prefix .. id, 'expires', 'revoked')
  if not key[1] then
    redis.call('ZREM', index, id)
  elseif key[2] or tonumber(key[1]) <= now then
    unusable[#unusable + 1] = id
  else
    usable = usable + 1
  end
end
if usable >= limit then return 0 end

for at = 1, #unusable - limit do
  redis.call('ZREM', index, unusable[at])
  redis.call('DEL', prefix .. unusable[at])
end
redis.call('HSET', place, unpack(ARGV, 7))
redis.call('PEXPIREAT', place, ARGV[6])
redis.call('ZADD', index, ARGV[5], ARGV[4])
return 1
