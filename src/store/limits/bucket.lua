-- Token bucket and leaky bucket: a debt that is paid off at the rate (GCRA, ITU-T I.371, by the
-- virtual scheduling's twin, the leaky bucket). A unit is `period` of it and a tick pays `rate`, so
-- that all is whole. Stored: when, and how much was owed then.
local most = 4503599627370496
local at, debt = stored('^(%d+):(%d+)$')
-- What lies far ahead was stored by another clock.
if not debt or at > now + period then at, debt = now, 0 end
-- A clock that was set back, or a replica's that took over, stands still until it is past.
now = math.max(now, at)
if now - at >= up(debt, rate) then debt = 0 else debt = debt - (now - at) * rate end
local function there() return math.floor((limit * period - debt) / period) end
local function save()
    if debt == 0 then redis.call('DEL', key) else store(text(now) .. ':' .. text(debt), up(debt, rate)) end
end

local units, retry = 0, 0
if op == 'claim' then
    units = share(there())
    if units > 0 then
        debt = debt + units * period
        save()
    elseif least > limit then
        retry = -1
    elseif least > 0 then
        retry = up(debt + least * period - limit * period, rate)
    end
elseif op == 'charge' then
    debt = math.min(debt + want * period, most)
    save()
elseif op == 'give' then
    -- What has drained since then has come back already: given back twice, it would pay for others.
    local drained = math.max(now - taken, 0) * rate
    debt = math.max(debt - math.max(want * period - drained, 0), 0)
    save()
end
return answer(units, there(), up(debt, rate), retry)
