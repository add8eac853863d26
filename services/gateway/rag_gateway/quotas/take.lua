-- Acquires all amounts or none, and returns the levels.
-- KEYS: the buckets. ARGV: the holder and the seconds of a lease; then for each bucket its capacity,
-- its refill a second ("held" if units return with their lease instead), and the amount.
-- Returns 1 or 0 for granted, then the level of each bucket as text.
-- A bucket is "<level> <time>", absent if it is full; a held one a sorted set of lease ends.
local DAY, EPSILON = 86400, 0.000001
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local stamp = string.format('%.6f', now)
local granted, levels = 1, {}

for i, key in ipairs(KEYS) do
  local capacity, refill = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  if refill then
    levels[i] = capacity
    local left, at = string.match(redis.call('GET', key) or '', '(%S+) (%S+)')
    if left then
      levels[i] = math.min(capacity, left + math.max(0, now - at) * refill)
    end
  else
    levels[i] = capacity - redis.call('ZCOUNT', key, '(' .. stamp, '+inf')
  end
  if levels[i] + EPSILON < tonumber(ARGV[3 * i + 2]) then
    granted = 0
  end
end

for i, key in ipairs(KEYS) do
  local capacity, refill = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local amount = tonumber(ARGV[3 * i + 2])
  if granted == 1 and amount > 0 then
    levels[i] = levels[i] - amount
    if refill then
      local full = refill > 0 and (capacity - levels[i]) / refill or DAY
      local life = math.floor(math.min(full, 30 * DAY) * 1000) + 1000
      redis.call('SET', key, string.format('%.17g %s', levels[i], stamp), 'PX', life)
    else
      redis.call('ZREMRANGEBYSCORE', key, '-inf', stamp)
      redis.call('ZADD', key, string.format('%.6f', now + ARGV[2]), ARGV[1])
      redis.call('PEXPIRE', key, math.floor(ARGV[2] * 1000) + 1000)
    end
  end
  levels[i] = string.format('%.17g', levels[i])
end
return { granted, unpack(levels) }
