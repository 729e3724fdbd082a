-- The store of a fleet's budget: executes one renewal. The rules are those of lease/book, function by function and in
-- its words; tests/fleet runs the same histories through both.
--
-- KEYS[1] is a hash with all that is known of an organization; no field and no key expires, deadlines are values. ARGV is
-- what wire.rs writes. All times are whole microseconds, or spans; all numbers are whole and below 2^53.

-- Scripts of different versions share no leases: to each, what another has written is that of another run, and so
-- forgotten. To be raised with every change of what is kept, of the arguments, or of the rules by which slots go round.
local PROTOCOL = '2'

local LATENESS, GUARD, LEASE_MAX = 1000000, 250, 6000000
local LEASH, LEAP_MAX = 2000000, 3600000000
local SCARCE, FEW, WEIGHT_MAX = 8, 4, 1000000
local STRIDE, TURN_MAX = 1000, 10000000
local PROBE_LASTS, UNPROBED_MAX, PAUSE_MAX, PAUSES_MAX = 10000000, 60000000, 86400000000, 256

local min, max = math.min, math.max
local key = KEYS[1]
local time = redis.call('TIME')
local server = tonumber(time[1]) * 1000000 + tonumber(time[2])
-- Whose data this is. The run is another one after each start of the server, and on each of its replicas. A server that was a replica for
-- a while, and then is the primary again, is the same run with the data of another: its history has another id since.
local run = PROTOCOL .. ':' .. (string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or '-')
  .. ':' .. (string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or '-')
-- The time, at least and at most: see lease/book/clock.
local earliest, latest

local function text(number)
  return string.format('%.0f', number)
end

local function divided(a, b)
  return (a - a % b) / b
end

local function sorted(map)
  local keys = {}
  for name in pairs(map) do
    keys[#keys + 1] = name
  end
  table.sort(keys)
  return keys
end

-- After the end of a lease, or of a rest that is not to be trusted, nothing of it counts any more in a window.
local function late(per)
  return LATENESS + per + GUARD
end

-- The renewal

local place = 0

local function word()
  place = place + 1
  return ARGV[place]
end

local function number()
  return tonumber(word())
end

local function list(read)
  local found = {}
  for at = 1, number() do
    found[at] = read()
  end
  return found
end

local channel = word()
local renewal = { host = word(), number = number(), draw = word() }
local seen = { epoch = word(), version = number(), lease = number(), clock = number(), since = number() }
seen.is_live = number() == 1
if seen.epoch == '' then
  seen = nil
end
renewal.weight = number()
renewal.lasts = number()
renewal.sent = number()
renewal.windows = list(function()
  local window = { per = number(), requests = number(), held = number(), need = number() }
  window.back = list(function()
    return { span = number(), slots = number() }
  end)
  return window
end)
renewal.pauses = list(function()
  return { word = word(), scope = word(), number = number() }
end)
renewal.probes = list(word)

-- What is kept: `m` the store itself, `p:` a window's pool, `h:` a host, `s:` a pause, by its scope.

local kept, memory = {}, nil
local hosts, pools, pauses = {}, {}, {}

local function pairs_of(next_number)
  local found = {}
  for at = 1, next_number() do
    found[at] = { next_number(), next_number() }
  end
  return found
end

local function reader(value)
  local words = string.gmatch(value, '%S+')
  return words, function()
    return tonumber(words())
  end
end

-- In every version of the protocol the first words of `m` are these.
local function load_memory(value)
  local words, next_number = reader(value)
  memory = { run = words(), epoch = words(), version = next_number(), pass = 0, last = 0 }
  local is_ours = string.sub(memory.run, 1, #PROTOCOL + 1) == PROTOCOL .. ':'
  if is_ours then
    memory.forgetting, memory.pass, memory.last = next_number(), next_number(), next_number()
    memory.reading, memory.added, memory.earliest = next_number(), next_number(), next_number()
    memory.base = { reading = next_number(), earliest = next_number() }
  end
  return is_ours
end

local function load()
  local fields = redis.call('HGETALL', key)
  for at = 1, #fields, 2 do
    kept[fields[at]] = fields[at + 1]
  end
  local is_ours = kept['m'] and load_memory(kept['m'])
  for field, value in pairs(kept) do
    local words, next_number = reader(value)
    local kind, name = string.sub(field, 1, 2), string.sub(field, 3)
    if kind == 'p:' then
      pools[tonumber(name)] = is_ours and pairs_of(next_number) or {}
    elseif is_ours and kind == 'h:' then
      local record = { lease = next_number(), first = next_number(), number = next_number() }
      record.deadline, record.weight, record.pass, record.stride = next_number(), next_number(), next_number(), next_number()
      -- No turn began before 1970.
      record.turn, record.parts = { began = next_number(), sent = next_number() }, {}
      if record.turn.began < 0 then
        record.turn = nil
      end
      for _ = 1, next_number() do
        local per = next_number()
        local part = { requests = next_number(), need = next_number(), share = next_number(), target = next_number() }
        part.has_turn = next_number()
        part.fresh = pairs_of(next_number)
        record.parts[per] = part
      end
      hosts[name] = record
    elseif is_ours and kind == 's:' then
      local pause = { number = next_number(), till = next_number(), prober = words() or '-', probes_till = next_number() }
      pauses[name] = pause
    end
  end
end

local function with_pairs(words, found)
  words[#words + 1] = text(#found)
  for _, pair in ipairs(found) do
    words[#words + 1] = text(pair[1])
    words[#words + 1] = text(pair[2])
  end
end

local function with_numbers(words, ...)
  for _, value in ipairs({ ... }) do
    words[#words + 1] = text(value)
  end
end

local function save()
  local fields = {}
  local words = { memory.run, memory.epoch }
  with_numbers(words, memory.version, memory.forgetting, memory.pass, memory.last)
  with_numbers(words, memory.reading, memory.added, memory.earliest, memory.base.reading, memory.base.earliest)
  fields['m'] = table.concat(words, ' ')
  for per, pool in pairs(pools) do
    words = {}
    with_pairs(words, pool)
    fields['p:' .. text(per)] = table.concat(words, ' ')
  end
  for host, record in pairs(hosts) do
    words = {}
    local turn = record.turn or { began = -1, sent = 0 }
    with_numbers(words, record.lease, record.first, record.number, record.deadline, record.weight)
    with_numbers(words, record.pass, record.stride, turn.began, turn.sent)
    local pers = sorted(record.parts)
    with_numbers(words, #pers)
    for _, per in ipairs(pers) do
      local part = record.parts[per]
      with_numbers(words, per, part.requests, part.need, part.share, part.target, part.has_turn)
      with_pairs(words, part.fresh)
    end
    fields['h:' .. host] = table.concat(words, ' ')
  end
  for scope, pause in pairs(pauses) do
    words = {}
    with_numbers(words, pause.number, pause.till)
    words[#words + 1] = pause.prober
    with_numbers(words, pause.probes_till)
    fields['s:' .. scope] = table.concat(words, ' ')
  end
  -- In order: replicas and the append-only file get the same commands.
  for _, field in ipairs(sorted(fields)) do
    if kept[field] ~= fields[field] then
      redis.call('HSET', key, field, fields[field])
    end
  end
  for _, field in ipairs(sorted(kept)) do
    if not fields[field] then
      redis.call('HDEL', key, field)
    end
  end
end

-- Pools: pairs of the time at which slots are free, and how many; earliest first

local function pool_of(per)
  if not pools[per] then
    pools[per] = {}
  end
  return pools[per]
end

local function total(found)
  local slots = 0
  for _, pair in ipairs(found) do
    slots = slots + pair[2]
  end
  return slots
end

local function put(pool, free_at, slots)
  if slots == 0 then
    return
  end
  local at = 1
  while pool[at] and pool[at][1] < free_at do
    at = at + 1
  end
  if pool[at] and pool[at][1] == free_at then
    pool[at][2] = pool[at][2] + slots
  else
    table.insert(pool, at, { free_at, slots })
  end
end

local function take(pool, missing)
  local taken = {}
  while missing > 0 and pool[1] do
    local slots = min(pool[1][2], missing)
    taken[#taken + 1] = { pool[1][1], slots }
    missing = missing - slots
    if slots == pool[1][2] then
      table.remove(pool, 1)
    else
      pool[1][2] = pool[1][2] - slots
    end
  end
  return taken
end

-- Sums over hosts

local function is_live(record)
  return record.deadline > earliest
end

local function share(record, per)
  return record.parts[per] and record.parts[per].share or 0
end

-- The quota of the fleet: the lowest that is configured.
local function requests(per)
  local lowest
  for _, record in pairs(hosts) do
    local part = record.parts[per]
    if part and (not lowest or part.requests < lowest) then
      lowest = part.requests
    end
  end
  return lowest
end

local function shared(per)
  local slots = 0
  for _, record in pairs(hosts) do
    slots = slots + share(record, per)
  end
  return slots
end

-- Slots that are not a dead host's.
local function divisible(per)
  local slots = requests(per) or 0
  for _, record in pairs(hosts) do
    if not is_live(record) then
      slots = slots - share(record, per)
    end
  end
  return max(slots, 0)
end

-- Targets

local function claims_of(per)
  local claims = {}
  for _, host in ipairs(sorted(hosts)) do
    local record = hosts[host]
    local part = record.parts[per]
    if is_live(record) and part and part.need > 0 then
      claims[#claims + 1] = { weight = record.weight, record = record, part = part, is_open = true }
    end
  end
  return claims
end

-- Who needs less than its part gets that, and is no longer open. Gives what the others share, and their weights.
local function divide(slots, claims)
  local weights = 0
  for _, claim in ipairs(claims) do
    weights = weights + claim.weight
  end
  while true do
    local served = {}
    for _, claim in ipairs(claims) do
      if claim.is_open and claim.part.need * weights <= slots * claim.weight then
        served[#served + 1] = claim
      end
    end
    if #served == 0 then
      return slots, weights
    end
    for _, claim in ipairs(served) do
      claim.is_open = false
      slots = slots - claim.part.need
      weights = weights - claim.weight
    end
  end
end

local function shortest()
  local found
  for per in pairs(pools) do
    found = min(found or per, per)
  end
  return found
end

-- Sets every host's target. What whole slots can't divide goes round: who has the lowest pass has a slot more, for a turn.
-- One that has begun is not taken away.
local function aim(per)
  local claims = claims_of(per)
  local slots, weights = divide(divisible(per), claims)
  local targets, strides = {}, {}
  local fractions, left = {}, slots
  for at, claim in ipairs(claims) do
    if claim.is_open then
      claim.at, claim.fraction = at, slots * claim.weight % weights
      targets[claim.record] = (slots * claim.weight - claim.fraction) / weights
      left = left - targets[claim.record]
      if claim.fraction > 0 then
        fractions[#fractions + 1] = claim
      end
    else
      targets[claim.record] = claim.part.need
    end
  end
  table.sort(fractions, function(one, other)
    if (one.record.turn ~= nil) ~= (other.record.turn ~= nil) then
      return one.record.turn ~= nil
    end
    if one.record.pass ~= other.record.pass then
      return one.record.pass < other.record.pass
    end
    return one.at < other.at
  end)
  for at = 1, min(left, #fractions) do
    local claim = fractions[at]
    targets[claim.record] = targets[claim.record] + 1
    strides[claim.record] = divided(STRIDE * weights, claim.fraction)
  end
  local is_shortest, live = per == shortest(), 0
  for _, record in pairs(hosts) do
    live = live + (is_live(record) and 1 or 0)
  end
  local scarce = (requests(per) or 0) < SCARCE * live
  for _, record in pairs(hosts) do
    if is_shortest then
      record.stride = strides[record] or record.stride
      record.turn = strides[record] and (record.turn or { began = earliest, sent = 0 })
    end
    local part = record.parts[per]
    if part then
      -- While nobody could have what it would give back, a host keeps what it has.
      part.target = memory.forgetting >= 0 and part.share or targets[record] or 0
      part.has_turn = scarce and memory.forgetting < 0 and strides[record] and 1 or 0
    end
  end
end

local function needs(record)
  for _, part in pairs(record.parts) do
    if part.need > 0 then
      return true
    end
  end
  return false
end

-- The turn of the host is over when it has used what it had by it.
local function end_turn()
  local per, record = shortest(), hosts[renewal.host]
  if not per or not record.turn then
    return
  end
  local turn, part = record.turn, record.parts[per]
  if not part or part.share < part.target then
    turn.began = earliest
    return
  end
  turn.sent = turn.sent + renewal.sent
  if (part.share > 0 and turn.sent >= part.share) or earliest >= turn.began + per + TURN_MAX then
    memory.pass = max(memory.pass, record.pass)
    record.pass = record.pass + record.stride
    record.turn = nil
  end
end

-- Slots in their course

-- There are as many slots as the quota allows, as soon as what is too many comes back.
local function fill(per)
  local quota = requests(per)
  if not quota then
    return
  end
  local pool = pool_of(per)
  local there = shared(per) + total(pool)
  if there > quota then
    take(pool, there - quota)
  elseif memory.forgetting < 0 then
    put(pool, earliest, quota - there)
  end
end

local function longest_of(map)
  local longest = 0
  for per in pairs(map) do
    longest = max(longest, per)
  end
  return longest
end

-- Begins a new epoch, in which nothing is known.
local function forget()
  memory.run, memory.epoch = run, renewal.draw
  memory.reading, memory.added, memory.earliest = server, 0, server
  memory.base = { reading = server, earliest = server }
  hosts, pauses = {}, {}
  local longest = 0
  for per in pairs(pools) do
    pools[per] = {}
    longest = max(longest, per)
  end
  for _, window in ipairs(renewal.windows) do
    longest = max(longest, window.per)
  end
  memory.forgetting = server + LEASE_MAX + late(longest)
end

-- Whether the host knows of a later state than this one: it was restored from an older one.
local function is_behind()
  if not seen then
    return false
  end
  if seen.epoch ~= memory.epoch then
    return seen.is_live and memory.forgetting < 0
  end
  local record = hosts[renewal.host]
  return seen.version > memory.version
    or (record ~= nil and record.lease == seen.lease and record.number + 1 < renewal.number)
end

local function standing()
  local lease = seen and seen.epoch == memory.epoch and seen.lease
  local record = hosts[renewal.host]
  if record and renewal.number < record.number then
    return 'known'
  elseif record and renewal.number == record.number then
    return (record.first == renewal.number or lease == record.lease) and 'known' or 'new'
  elseif record and lease == record.lease and renewal.number == record.number + 1 then
    return 'next'
  elseif seen and seen.is_live and memory.forgetting >= 0 and seen.epoch ~= memory.epoch then
    return 'claims'
  end
  return 'new'
end

-- Takes in what the host says of the time: how long ago, at least, it has heard of a reading.
local function believe(before)
  local base = memory.base
  if seen.clock > base.reading then
    -- It can tell nothing of what was before that reading.
    base.reading, base.earliest = before, memory.earliest
  end
  -- More has passed than the server's clock shows: it was put back, before or after what was noted meanwhile.
  local lost = max(seen.since - max(memory.reading - seen.clock, 0), 0)
  memory.added, memory.reading = memory.added + lost, memory.reading + lost
  base.earliest = max(base.earliest - lost, 0)
  -- Of what the host has waited, so much was before the base.
  local passed = min(max(seen.since - max(base.reading - seen.clock, 0), 0), memory.reading - base.reading)
  memory.earliest = max(memory.earliest, base.earliest + passed)
end

-- The server's clock is believed only as far as a host confirms it.
local function advance()
  local before = memory.reading
  -- Put back: nothing has passed, until somebody knows better.
  memory.added = max(memory.added, before - server)
  memory.reading = server + memory.added
  if seen and seen.epoch == memory.epoch then
    believe(before)
  else
    memory.earliest = memory.earliest + max(memory.reading - before - LEAP_MAX, 0)
  end
  earliest = memory.earliest
  latest = max(memory.base.earliest + (memory.reading - memory.base.reading), earliest)
  if latest - earliest > LEASH then
    memory.base.reading, memory.base.earliest = memory.reading, earliest
    latest = earliest
  end
end

-- What dead hosts held, and what was forgotten, is the pool's when nothing of it can count any more.
local function dissolve()
  for _, host in ipairs(sorted(hosts)) do
    local record = hosts[host]
    for per, part in pairs(record.parts) do
      if part.share > 0 and earliest >= record.deadline + late(per) then
        put(pool_of(per), earliest, part.share)
        part.share, part.fresh = 0, {}
      end
    end
    if earliest >= record.deadline + late(longest_of(record.parts)) then
      hosts[host] = nil
    end
  end
  if memory.forgetting >= 0 and memory.forgetting <= earliest then
    memory.forgetting = -1
  end
end

-- What the host says of a window.
local function take_in(record, window, stands)
  local per = window.per
  local quota = min(requests(per) or window.requests, window.requests)
  local there = shared(per) + total(pool_of(per))
  local part = record.parts[per]
  if not part then
    part = { share = 0, target = 0, has_turn = 0 }
    record.parts[per] = part
  end
  part.requests, part.need, part.fresh = window.requests, min(window.need, window.requests), {}
  if stands == 'claims' then
    -- What it has given back may be another host's by now.
    local held = window.held
    for _, rest in ipairs(window.back) do
      held = held - rest.slots
    end
    part.share = min(max(held, 0), max(quota - there, 0))
  elseif stands == 'next' then
    for _, rest in ipairs(window.back) do
      local slots = min(rest.slots, part.share)
      part.share = part.share - slots
      local rests = min(rest.span, late(per))
      put(pool_of(per), rests == 0 and earliest or latest + rests, slots)
    end
  end
end

local function hand_out(record, per)
  if memory.forgetting < 0 then
    local part = record.parts[per]
    part.fresh = take(pool_of(per), max(part.target - part.share, 0))
    part.share = part.share + total(part.fresh)
  end
end

-- News

local function publish(...)
  redis.call('PUBLISH', channel, table.concat({ ... }, '\n'))
end

-- Whether a quarter of what is due is missing.
local function lacks(part)
  local lack = max(part.target - part.share, 0)
  return lack > 0 and lack * FEW >= part.target
end

-- Whether a quarter of what it has is too much.
local function exceeds(part)
  local surplus = max(part.share - part.target, 0)
  return surplus > 0 and surplus * FEW >= part.share
end

local function is_less(part)
  return part.share < part.target
end

-- Tells the other hosts of which this holds in one of the windows.
local function tell_others(subject, pers, holds)
  local told = {}
  for _, host in ipairs(sorted(hosts)) do
    local record = hosts[host]
    local concerned = false
    for _, per in ipairs(pers) do
      concerned = concerned or (record.parts[per] ~= nil and holds(record.parts[per]))
    end
    if concerned and host ~= renewal.host and is_live(record) then
      told[#told + 1] = host
    end
  end
  if #told > 0 then
    publish(subject, unpack(told))
  end
end

-- Tells who has more than is due to it that this host has less, and others that there is something again.
local function tell_slots(gives)
  if memory.forgetting >= 0 then
    return
  end
  local live = 0
  for _, record in pairs(hosts) do
    live = live + (is_live(record) and 1 or 0)
  end
  local lacking, scarce = {}, {}
  for _, window in ipairs(renewal.windows) do
    local per = window.per
    if lacks(hosts[renewal.host].parts[per]) then
      lacking[#lacking + 1] = per
    end
    if gives and #pool_of(per) > 0 and (requests(per) or 0) < SCARCE * live then
      scarce[#scarce + 1] = per
    end
  end
  tell_others('short', lacking, exceeds)
  tell_others('free', scarce, is_less)
end

-- Pauses

local function prober_of(pause)
  if pause.prober ~= '-' and pause.probes_till > latest then
    return pause.prober, pause.probes_till - latest
  end
  return '', 0
end

local function report(told)
  local pause = pauses[told.scope]
  if told.word == 'paused' then
    local till, count = latest + min(told.number, PAUSE_MAX), 0
    for _ in pairs(pauses) do
      count = count + 1
    end
    if (not pause and count >= PAUSES_MAX) or (pause and pause.till >= till) then
      return
    end
    memory.last = memory.last + 1
    pauses[told.scope] = { number = memory.last, till = till, prober = '-', probes_till = 0 }
    publish('paused', text(memory.last), text(max(till - latest, 0)), '', '0', told.scope)
  elseif told.word == 'resumed' then
    if pause and pause.number <= told.number then
      publish('resumed', text(pause.number), told.scope)
      pauses[told.scope] = nil
    end
  elseif pause and pause.prober == renewal.host then
    pause.prober, pause.probes_till = '-', 0
    -- Who has waited for it may ask now.
    publish('paused', text(pause.number), text(max(pause.till - latest, 0)), '', '0', told.scope)
  end
end

-- The host wants to probe: it is the prober if nobody else is, and the time of the pause is over.
local function ask(scope)
  local pause = pauses[scope]
  if pause and pause.till <= latest and (pause.prober == '-' or pause.prober == renewal.host or pause.probes_till <= latest) then
    pause.prober, pause.probes_till = renewal.host, latest + PROBE_LASTS
  end
end

-- The answer

-- Whether a host that has a lease lacks slots of a window, or has them for a turn where there are few.
local function is_short()
  local live, has_turn = 0, false
  for _, record in pairs(hosts) do
    if is_live(record) then
      live, has_turn = live + 1, has_turn or record.turn ~= nil
      for _, part in pairs(record.parts) do
        if part.share < part.target then
          return true
        end
      end
    end
  end
  local per = shortest()
  return has_turn and per ~= nil and (requests(per) or 0) < SCARCE * live
end

local function live_hosts()
  local count, first, differs = 0, nil, false
  for _, record in pairs(hosts) do
    if is_live(record) then
      count = count + 1
      local words = {}
      for _, per in ipairs(sorted(record.parts)) do
        with_numbers(words, per, record.parts[per].requests)
      end
      local quotas = table.concat(words, ' ')
      first = first or quotas
      differs = differs or quotas ~= first
    end
  end
  return count, differs
end

local function grant()
  local record = hosts[renewal.host]
  local count, differs = live_hosts()
  local answer = {
    renewal.number,
    memory.epoch,
    memory.version,
    memory.reading,
    record and record.lease or 0,
    -- The latest end of the time may have been wrong when the lease began.
    record and min(max(record.deadline - latest, 0), LEASE_MAX) or 0,
    is_short() and 1 or 0,
    memory.forgetting >= 0 and max(memory.forgetting - earliest, 0) or -1,
    count,
    differs and 1 or 0,
  }
  local function add(value)
    answer[#answer + 1] = value
  end
  add(#renewal.windows)
  for _, window in ipairs(renewal.windows) do
    local part = record and record.parts[window.per]
    local fresh = part and part.fresh or {}
    add(window.per)
    add(requests(window.per) or 0)
    add(part and part.share or 0)
    add(part and part.target or 0)
    add(part and part.has_turn or 0)
    add(#fresh)
    for _, pair in ipairs(fresh) do
      add(max(pair[1] - earliest, 0))
      add(pair[2])
    end
  end
  local scopes = sorted(pauses)
  add(#scopes)
  for _, scope in ipairs(scopes) do
    local pause = pauses[scope]
    local prober, probes_for = prober_of(pause)
    add(scope)
    add(pause.number)
    add(max(pause.till - latest, 0))
    add(prober)
    add(probes_for)
  end
  return answer
end

-- The renewal is executed

local function renew()
  if run ~= memory.run or is_behind() then
    forget()
  end
  advance()
  if standing() == 'known' then
    return
  end
  dissolve()
  local stands = standing()
  memory.version = memory.version + 1
  if stands == 'next' then
    end_turn()
  end
  local record = hosts[renewal.host]
  hosts[renewal.host] = nil
  if stands ~= 'next' then
    -- A lease that nobody can go on with: what it held rests in full.
    if record then
      for per, part in pairs(record.parts) do
        put(pool_of(per), max(record.deadline, latest) + late(per), part.share)
      end
    end
    record = { lease = memory.version, first = renewal.number, pass = memory.pass, stride = 0, parts = {} }
  end
  local needed = needs(record)
  record.number = renewal.number
  record.deadline = latest + min(renewal.lasts, LEASE_MAX)
  record.weight = max(1, min(renewal.weight, WEIGHT_MAX))
  for _, window in ipairs(renewal.windows) do
    take_in(record, window, stands)
  end
  if not needed and needs(record) then
    -- It has missed no turns while it needed nothing.
    record.pass = max(record.pass, memory.pass)
  end
  hosts[renewal.host] = record
  -- Also of windows that this host doesn't have: who had the most of them may just have been dissolved.
  for _, per in ipairs(sorted(pools)) do
    fill(per)
  end
  local gives = false
  for _, window in ipairs(renewal.windows) do
    gives = gives or (stands == 'next' and #window.back > 0)
    aim(window.per)
    hand_out(record, window.per)
  end
  tell_slots(gives)
  for scope, pause in pairs(pauses) do
    if latest >= pause.till + UNPROBED_MAX then
      pauses[scope] = nil
    end
  end
  for _, told in ipairs(renewal.pauses) do
    report(told)
  end
  for _, scope in ipairs(renewal.probes) do
    ask(scope)
  end
end

load()
if not memory then
  memory = { version = 0, pass = 0, last = 0 }
  forget()
end
renew()
save()
return grant()
