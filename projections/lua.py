"""The scripts that run inside Redis. Each is one atomic step; none loops over more than what it was given."""

COMMIT = r"""
-- ARGV[1] says what the batch is about. Behind it come its tables, each as twelve lists, each list as one text with NUL
-- characters between its members: thousands of arguments would cost the caller more than the work itself.
local batch = cjson.decode(ARGV[1])
local live = redis.call('GET', batch.live_key) or '1'
local holder = redis.call('GET', batch.hold_key)
if batch.generation == live then
  if holder and holder ~= batch.holder then return 'held' end
elseif batch.holder == '' or redis.call('GET', batch.builder_key) ~= batch.holder then
  return 'stale'
end
for _, move in ipairs(batch.moves) do
  if (redis.call('HGET', batch.checkpoints_key, move[1]) or '0') ~= move[2] then return 'stale' end
end

local at = 1
local function list()
  at = at + 1
  local text, found, count, from = ARGV[at], {}, 0, 1
  if text == '' then return found end
  local cut = string.find(text, '\0', 1, true)
  while cut do
    count = count + 1
    found[count] = string.sub(text, from, cut - 1)
    from = cut + 1
    cut = string.find(text, '\0', from, true)
  end
  found[count + 1] = string.sub(text, from)
  return found
end

local function put(prefix, keys, rows)
  local most = 4000  -- unpack may put 8000 values on Lua's stack, and no more
  for from = 1, #keys, most / 2 do
    local pairs_, filled = {}, 0
    for i = from, math.min(from + most / 2 - 1, #keys) do
      pairs_[filled + 1], pairs_[filled + 2] = prefix .. keys[i], rows[i]
      filled = filled + 2
    end
    redis.call('MSET', unpack(pairs_))
  end
end

for _, table_ in ipairs(batch.tables) do
  local prefix = batch.prefix .. table_ .. ':'
  local keys, others = list(), list()
  put(prefix .. 'row:', keys, others)
  for _, key in ipairs(list()) do redis.call('DEL', prefix .. 'row:' .. key) end
  for _, key in ipairs(list()) do redis.call('DEL', prefix .. 'text:' .. key) end
  keys, others = list(), list()
  for i, key in ipairs(keys) do redis.call('APPEND', prefix .. 'text:' .. key, others[i]) end
  keys, others = list(), list()
  for i, name in ipairs(keys) do redis.call('ZREM', prefix .. 'index:' .. name, others[i]) end
  keys, others = list(), list()
  for i, name in ipairs(keys) do redis.call('ZADD', prefix .. 'index:' .. name, 0, others[i]) end
  keys, others = list(), list()
  for i, name in ipairs(keys) do
    if redis.call('HINCRBY', prefix .. 'totals', name, others[i]) == 0 then
      redis.call('HDEL', prefix .. 'totals', name)
    end
  end
end
for _, move in ipairs(batch.moves) do redis.call('HSET', batch.checkpoints_key, move[1], move[3]) end
if batch.generation ~= live then redis.call('PEXPIRE', batch.builder_key, batch.builder_ms) end
return 'done'
"""

STANDING = r"""
-- ARGV: live key, key prefix, end of the checkpoints key. The live generation and its checkpoints, of one moment.
local live = redis.call('GET', ARGV[1]) or '1'
return {live, redis.call('HGETALL', ARGV[2] .. live .. ARGV[3])}
"""

BEGIN = r"""
-- ARGV: builder key, live key, counter key, builder, milliseconds. A new generation's number, or nothing.
local builder = redis.call('GET', ARGV[1])
if builder and builder ~= ARGV[4] then return nil end
redis.call('SET', ARGV[1], ARGV[4], 'PX', ARGV[5])
local highest = math.max(tonumber(redis.call('GET', ARGV[2]) or '1'), tonumber(redis.call('GET', ARGV[3]) or '1'))
redis.call('SET', ARGV[3], highest + 1)
return highest + 1
"""

HOLD = r"""
-- ARGV: hold key, holder, milliseconds. Take the hold, or keep it for longer.
local holder = redis.call('GET', ARGV[1])
if holder and holder ~= ARGV[2] then return 'held' end
redis.call('SET', ARGV[1], ARGV[2], 'PX', ARGV[3])
return 'done'
"""

SWITCH = r"""
-- ARGV: live key, hold key, builder key, checkpoints key of the old generation, old, new, holder.
if (redis.call('GET', ARGV[1]) or '1') ~= ARGV[5] then return 'stale' end
if (redis.call('GET', ARGV[2]) or '') ~= ARGV[7] then return 'held' end
redis.call('SET', ARGV[1], ARGV[6])
redis.call('DEL', ARGV[2], ARGV[3], ARGV[4])
return 'done'
"""

DIFFERENT = r"""
-- ARGV: two prefixes, then the ends of keys. Those ends whose keys differ in type or content.
local page = 1000

local function same_members(one, other)
  local size = redis.call('ZCARD', one)
  if size ~= redis.call('ZCARD', other) then return false end
  for from = 0, size - 1, page do
    local a = redis.call('ZRANGE', one, from, from + page - 1)
    local b = redis.call('ZRANGE', other, from, from + page - 1)
    for i = 1, #a do
      if a[i] ~= b[i] then return false end
    end
  end
  return true
end

local function same_hash(one, other)
  local a = redis.call('HGETALL', one)
  for i = 1, #a, 2 do
    if redis.call('HGET', other, a[i]) ~= a[i + 1] then return false end
  end
  return redis.call('HLEN', other) * 2 == #a
end

local function same(one, other)
  local kind = redis.call('TYPE', one).ok
  if kind ~= redis.call('TYPE', other).ok then return false end
  if kind == 'string' then return redis.call('GET', one) == redis.call('GET', other) end
  if kind == 'hash' then return same_hash(one, other) end
  if kind == 'zset' then return same_members(one, other) end
  return kind == 'none'
end

local found = {}
for i = 3, #ARGV do
  if not same(ARGV[1] .. ARGV[i], ARGV[2] .. ARGV[i]) then found[#found + 1] = ARGV[i] end
end
return found
"""

MISSING = r"""
-- ARGV: a prefix, then the ends of keys. Those ends that are no keys.
local found = {}
for i = 2, #ARGV do
  if redis.call('EXISTS', ARGV[1] .. ARGV[i]) == 0 then found[#found + 1] = ARGV[i] end
end
return found
"""
