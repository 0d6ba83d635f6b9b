-- Merges what a block says of some entities of one family, and answers what was known before.
-- The same as `models.engine.state.merge`, which says what the numbers mean; tests compare both.
--
-- KEYS: hashes of entities: where to write, then where to look, the newest first.
-- ARGV: the family's layout, the entities (both msgpack), and one record for each of them.

local layout, entities, records = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2]), ARGV[3]
local state, record = layout.state, layout.record
local state_size, record_size = struct.size(state), struct.size(record)
local nothing = string.rep('\0', state_size)
local tail, watches, counts, sets = layout.tail, layout.watches, #layout.counts, #layout.sets
local floor, unpack_, sub = math.floor, struct.unpack, string.sub
local times_at, watches_at = 3, 3 + tail
local count_at = watches_at + watches
local earlier_at = count_at + counts
local bits_at = earlier_at + counts
local earlier_bits_at = bits_at + 2 * sets
local begin_at = earlier_bits_at + 2 * sets + 1 -- behind the state that an unknown entity gets
local rest_at = begin_at + 2
local rest_bits_at = rest_at + counts

local function absolute(time, seen) -- of 32 bits that wrap around
  local ahead = (time - seen) % 4294967296
  return seen + (ahead < 2147483648 and ahead or ahead - 4294967296)
end

local function last_of_both(old, new, at, k, n) -- into old
  local taken = n < k and n or k
  for i = at + 1, at + k - taken do old[i] = old[i + taken] end
  for i = at + k - taken + 1, at + k do old[i] = new[i] end
end

local function merged(old, new) -- into old
  local seen, was = old[1], absolute(old[times_at + tail], old[1])
  for i = times_at + 1, times_at + tail do
    local time = absolute(new[i], new[1])
    if time < was then new[i] = was % 4294967296 end
  end
  last_of_both(old, new, times_at, tail, new[3])
  last_of_both(old, new, watches_at, watches, new[3])
  if new[1] > seen then old[1] = new[1] end
  old[3] = old[3] + new[3]
  local newest, ms, behind = new[begin_at + 1], 0, 0
  for i = 1, counts do
    if layout.counts[i] ~= ms then
      ms = layout.counts[i]
      behind = floor(newest / ms) - floor(was / ms)
    end
    local count, rest = old[count_at + i], new[rest_at + i]
    if behind <= 0 then
      old[count_at + i] = count + new[count_at + i] + rest
    else
      old[count_at + i] = new[count_at + i]
      old[earlier_at + i] = behind == 1 and count + rest or new[earlier_at + i]
    end
  end
  for i = 1, 2 * sets do -- halves of 64 bits
    ms = layout.sets[floor((i + 1) / 2)]
    behind = floor(newest / ms) - floor(was / ms)
    local bits, rest = old[bits_at + i], new[rest_bits_at + i]
    if behind <= 0 then
      old[bits_at + i] = bit.bor(bits, new[bits_at + i], rest) % 4294967296
    else
      old[bits_at + i] = new[bits_at + i]
      old[earlier_bits_at + i] = behind == 1 and bit.bor(bits, rest) % 4294967296
        or new[earlier_bits_at + i]
    end
  end
  return struct.pack(state, unpack(old))
end

local known = redis.call('HMGET', KEYS[2], unpack(entities))
for k = 3, #KEYS do
  local missing, places = {}, {}
  for i = 1, #entities do
    if not known[i] then
      missing[#missing + 1], places[#places + 1] = entities[i], i
    end
  end
  if #missing == 0 then break end
  if redis.call('EXISTS', KEYS[k]) == 1 then
    local found = redis.call('HMGET', KEYS[k], unpack(missing))
    for i = 1, #places do known[places[i]] = found[i] end
  end
end
local written = {}
for i = 1, #entities do
  local from = (i - 1) * record_size + 1
  local was, now = known[i], nil
  if was then
    local new = {unpack_(record, records, from)}
    local old = {unpack_(state, was)}
    if new[rest_at] == 0 and new[begin_at] - old[1] <= layout.keep_ms then
      now = merged(old, new)
    end
  else
    known[i] = nothing
  end
  written[2 * i - 1] = entities[i]
  written[2 * i] = now or sub(records, from, from + state_size - 1)
end
redis.call('HSET', KEYS[1], unpack(written))
redis.call('PEXPIRE', KEYS[1], layout.expire_ms)
return table.concat(known)
