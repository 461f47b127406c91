-- Fixed window: windows begin at multiples of the period since the epoch, or with the month (UTC).
-- Stored: the window's beginning, and how many were taken in it.
local function month(moment)
    -- Days to months as Howard Hinnant's `civil_from_days` does it: years that begin in March.
    local day = math.floor(moment / 86400000000)
    local days = day + 719468
    local era = math.floor(days / 146097)
    local of_era = days - era * 146097
    local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
        - math.floor(of_era / 146096)) / 365)
    local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
    local number = math.floor((5 * of_year + 2) / 153)
    local first = math.floor((153 * number + 2) / 5)
    local length = math.floor((153 * (number + 1) + 2) / 5) - first
    if number == 11 then
        local february = year + era * 400 + 1
        local leap = february % 4 == 0 and (february % 100 ~= 0 or february % 400 == 0)
        length = leap and 29 or 28
    end
    local start = day - (of_year - first)
    return start * 86400000000, (start + length) * 86400000000
end
local function window(moment)
    if period == 0 then return month(moment) end
    local start = math.floor(moment / period) * period
    return start, start + period
end

local at, count = stored('^(%d+):(%d+)$')
local start, ends = window(now)
-- A clock that was set back stands still until it is past; what lies further ahead than the next
-- window was stored by another clock.
if at == ends then now, start, ends = at, window(at) end
if at ~= start then count = 0 end
local function save()
    if count == 0 then redis.call('DEL', key) else store(text(start) .. ':' .. text(count), ends - now) end
end

local units, retry = 0, 0
if op == 'claim' then
    units = share(limit - count)
    if units > 0 then
        count = count + units
        save()
    elseif least > limit then
        retry = -1
    elseif least > 0 then
        retry = ends - now
    end
elseif op == 'charge' then
    count = math.min(count + want, 4503599627370496)
    save()
elseif op == 'give' and window(taken) == start then
    count = math.max(count - want, 0)
    save()
end
local reset = 0
if count > 0 then reset = ends - now end
return answer(units, limit - count, reset, retry)
