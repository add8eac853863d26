-- Changes a claim if the holder has it or, to finish it, if nobody has.
-- KEYS: the claim. ARGV: holder, operation, seconds; to finish also fingerprint, state, response.
local key, holder, verb = KEYS[1], ARGV[1], ARGV[2]
local present = redis.call('HGET', key, 'holder')

if present and present ~= holder then
  return 0
end
if verb == 'finish' then
  redis.call('HSET', key, 'fingerprint', ARGV[4], 'holder', holder, 'state', ARGV[5], 'reply', ARGV[6])
end
if verb == 'free' then
  redis.call('DEL', key)
else
  redis.call('PEXPIRE', key, math.floor(ARGV[3] * 1000))
end
return 1
