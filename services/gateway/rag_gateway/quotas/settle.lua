-- Returns amounts, consumes more if they are negative, and renews or releases leases.
-- KEYS: the buckets. ARGV: the holder and the seconds of a lease, 0 to release it; then for each bucket
-- its capacity, its refill a second ("held" if units return with their lease), and the amount.
local DAY = 86400
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000

for i, key in ipairs(KEYS) do
  local capacity, refill = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  if not refill and tonumber(ARGV[2]) > 0 then
    redis.call('ZADD', key, string.format('%.6f', now + ARGV[2]), ARGV[1])
    redis.call('PEXPIRE', key, math.floor(ARGV[2] * 1000) + 1000)
  elseif not refill then
    redis.call('ZREM', key, ARGV[1])
  else
    local left, at = string.match(redis.call('GET', key) or '', '(%S+) (%S+)')
    local level = capacity
    if left then
      level = math.min(capacity, left + math.max(0, now - at) * refill)
    end
    level = math.max(-capacity, math.min(capacity, level + ARGV[3 * i + 2]))
    local full = refill > 0 and (capacity - level) / refill or DAY
    local life = math.floor(math.min(full, 30 * DAY) * 1000) + 1000
    redis.call('SET', key, string.format('%.17g %.6f', level, now), 'PX', life)
  end
end
return 1
