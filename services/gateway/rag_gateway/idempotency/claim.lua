-- Claims an idempotency key unless it is claimed; returns its state, and a stored response.
-- KEYS: the claim. ARGV: fingerprint, holder, seconds of the claim.
local key, fingerprint, holder = KEYS[1], ARGV[1], ARGV[2]
local present = redis.call('HMGET', key, 'fingerprint', 'holder', 'state', 'reply')

if present[2] and present[2] ~= holder then
  if present[1] ~= fingerprint then
    return { 'other', '' }
  end
  return { present[3], present[4] or '' }
end
redis.call('HSET', key, 'fingerprint', fingerprint, 'holder', holder, 'state', 'running')
redis.call('PEXPIRE', key, math.floor(ARGV[3] * 1000))
return { 'claimed', '' }
