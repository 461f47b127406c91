-- What the scripts of all algorithms begin with. Each works on one key, so that it runs in a
-- cluster too, and goes by Redis's clock, so that no gateway's counts.
--
-- Lua's numbers are doubles, whole up to 2^53. Moments in microseconds are; products are, because
-- the gateway gives a tick that is as coarse as they need. What is stored is written by `text`,
-- since Lua's own writing keeps 14 digits. What is written before anything else in a script is what
-- Redis refuses when its memory is full: then nothing has changed.
local key, op = KEYS[1], ARGV[1]
local least, want = tonumber(ARGV[2]), tonumber(ARGV[3])
local limit, period, tick = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local rate = tonumber(ARGV[7])
local taken = math.floor(tonumber(ARGV[8]) / tick)
local clock = redis.call('TIME')
local now = math.floor((clock[1] * 1000000 + clock[2]) / tick)

local function text(number) return string.format('%.0f', number) end
local function up(a, b) return math.floor((a + b - 1) / b) end

-- What is stored, as two or three numbers; nil where nothing is, or what another algorithm left.
local function stored(pattern)
    local value = redis.pcall('GET', key)
    if type(value) == 'table' then redis.call('DEL', key) return nil end
    if not value then return nil end
    local a, b, c = string.match(value, pattern)
    return tonumber(a), tonumber(b), tonumber(c)
end

-- Stores it until it would be as good as nothing.
local function store(value, ticks)
    redis.call('SET', key, value, 'PX', text(math.floor(ticks * tick / 1000) + 1))
end

-- How many of those that are there are given: as many as are wanted, if there are those that are
-- needed. Who gets fewer knows that nothing is left.
local function share(there)
    if there < least then return 0 end
    return math.min(math.max(want, least), math.max(there, least))
end

local function answer(units, there, reset, retry)
    if retry >= 0 then retry = retry * tick end
    return {units, math.max(there, 0), math.max(reset, 0) * tick, retry}
end

