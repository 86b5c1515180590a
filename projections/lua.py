"""The scripts that run inside Redis. Each is one atomic step; none loops over more than what it was given."""

COMMIT = r"""
-- ARGV[1] is what the batch is about; the rest are its rows, entries, index entries and totals, table after table.
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

local at = 2
local most = 4000  -- what Lua's unpack may put on its stack is bounded at 8000

local function put_rows(prefix, count)
  local pairs_, filled = {}, 0
  for i = at, at + 2 * count - 2, 2 do
    pairs_[filled + 1], pairs_[filled + 2] = prefix .. ARGV[i], ARGV[i + 1]
    filled = filled + 2
    if filled == most then
      redis.call('MSET', unpack(pairs_))
      pairs_, filled = {}, 0
    end
  end
  if filled > 0 then redis.call('MSET', unpack(pairs_)) end
  at = at + 2 * count
end

local function remove_rows(prefix, count)
  for i = at, at + count - 1 do redis.call('DEL', prefix .. ARGV[i]) end
  at = at + count
end

-- The entries of one timeline come as one argument, one entry a line.
local function add_entries(prefix, count, keep)
  for i = at, at + 2 * count - 2, 2 do
    local key, lines = prefix .. ARGV[i], ARGV[i + 1]
    local entries, from = {}, 1
    local cut = string.find(lines, '\n', 1, true)
    while cut do
      entries[#entries + 1] = string.sub(lines, from, cut - 1)
      from = cut + 1
      cut = string.find(lines, '\n', from, true)
    end
    entries[#entries + 1] = string.sub(lines, from)
    if redis.call('RPUSH', key, unpack(entries)) > keep then redis.call('LTRIM', key, -keep, -1) end
  end
  at = at + 2 * count
end

local function each_pair(count, act)
  for i = at, at + 2 * count - 2, 2 do act(ARGV[i], ARGV[i + 1]) end
  at = at + 2 * count
end

for _, t in ipairs(batch.tables) do
  put_rows(t.prefix .. 'row:', t.rows)
  remove_rows(t.prefix .. 'row:', t.removed)
  add_entries(t.prefix .. 'entries:', t.entries, t.keep)
  each_pair(t.unindexed, function(index, member) redis.call('ZREM', t.prefix .. 'index:' .. index, member) end)
  each_pair(t.indexed, function(index, member) redis.call('ZADD', t.prefix .. 'index:' .. index, 0, member) end)
  each_pair(t.totals, function(name, change)
    if redis.call('HINCRBY', t.prefix .. 'totals', name, change) == 0 then
      redis.call('HDEL', t.prefix .. 'totals', name)
    end
  end)
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

local function same_pages(command, one, other, size)
  for from = 0, size - 1, page do
    local a = redis.call(command, one, from, from + page - 1)
    local b = redis.call(command, other, from, from + page - 1)
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
  if kind == 'zset' then
    local size = redis.call('ZCARD', one)
    return size == redis.call('ZCARD', other) and same_pages('ZRANGE', one, other, size)
  end
  if kind == 'list' then
    local size = redis.call('LLEN', one)
    return size == redis.call('LLEN', other) and same_pages('LRANGE', one, other, size)
  end
  return kind == 'none'
end

local found = {}
for i = 3, #ARGV do
  if not same(ARGV[1] .. ARGV[i], ARGV[2] .. ARGV[i]) then found[#found + 1] = ARGV[i] end
end
return found
"""
