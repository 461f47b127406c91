-- Sliding window, estimated: what was taken in this window, and of what was taken in the one before
-- the part that a window ending now still covers. Stored: this window's beginning, its count, and
-- the count before. Counts end at twice the limit, so that products of them stay whole: who was
-- charged for more than two windows waits as if for two.
local at, count, before = stored('^(%d+):(%d+):(%d+)$')
-- What lies far ahead was stored by another clock.
if not before or at > now + period then at, count, before = 0, 0, 0 end
now = math.max(now, at)
local start = math.floor(now / period) * period
if at + period == start then
    before, count = count, 0
elseif at ~= start then
    before, count = 0, 0
end
local elapsed = now - start
local function there() return limit - count - up(before * (period - elapsed), period) end
local function reset()
    if count > 0 then return 2 * period - elapsed end
    if before > 0 then return period - elapsed end
    return 0
end
local function save()
    if count == 0 and before == 0 then
        redis.call('DEL', key)
    else
        store(text(start) .. ':' .. text(count) .. ':' .. text(before), reset())
    end
end

local units, retry = 0, 0
if op == 'claim' then
    units = share(there())
    if units > 0 then
        count = count + units
        save()
    elseif least > limit then
        retry = -1
    elseif least > 0 and count + least <= limit then
        -- In this window, when enough of the one before has gone.
        retry = period - math.floor((limit - count - least) * period / before) - elapsed
    elseif least > 0 then
        -- In the next, when enough of this one has.
        retry = period - elapsed + math.max(0, period - math.floor((limit - least) * period / count))
    end
elseif op == 'charge' then
    count = math.min(count + want, 2 * limit)
    save()
elseif op == 'give' then
    local window = math.floor(math.min(taken, now) / period) * period
    if window == start then
        count = math.max(count - want, 0)
        save()
    elseif window + period == start then
        before = math.max(before - want, 0)
        save()
    end
end
return answer(units, there(), reset(), retry)
