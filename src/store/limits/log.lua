-- Sliding window, exact: a list of what was taken and when, the oldest first, and their sum at the
-- end. A claim costs what has gone since the last one; the list holds one entry for each claim of a
-- period, some 20 bytes each. Stored: `moment:units`…, `sum`.
local function entry(value)
    local at, units = string.match(value, '^(%d+):(%d+)$')
    return tonumber(at), tonumber(units)
end

local total = redis.pcall('LINDEX', key, -1)
if type(total) == 'table' then redis.call('DEL', key) total = false end
local is_new = not total
total = tonumber(total or 0)
local newest = now
if not is_new then
    newest = entry(redis.call('LINDEX', key, -2))
    now = math.max(now, newest)
end

-- Calls `visit` with entries from a place on, until it says that it has seen enough.
local function each(from, visit)
    while true do
        local some = redis.call('LRANGE', key, from, from + 63)
        for _, value in ipairs(some) do
            local at, units = entry(value)
            if not at or visit(at, units) then return end
        end
        if #some < 64 then return end
        from = from + 64
    end
end

local gone = 0
if not is_new then
    each(0, function(at, units)
        if at + period > now then return true end
        gone, total = gone + 1, total - units
    end)
end

local function forget()
    if gone > 0 then redis.call('LTRIM', key, gone, -1) end
    if total == 0 then
        redis.call('DEL', key)
    else
        redis.call('PEXPIRE', key, text(math.floor((newest + period - now) / 1000) + 1))
    end
end
local function add(units)
    local value = text(now) .. ':' .. text(units)
    total, newest = total + units, now
    if is_new then
        redis.call('RPUSH', key, value, text(total))
    else
        redis.call('LSET', key, -1, value)
        redis.call('RPUSH', key, text(total))
    end
    forget()
end

local units, retry = 0, 0
if op == 'claim' then
    units = share(limit - total)
    if units > 0 then
        add(units)
    else
        if least > limit then
            retry = -1
        elseif least > 0 then
            local freed = 0
            each(gone, function(at, taken_then)
                freed = freed + taken_then
                if total - freed + least <= limit then
                    retry = at + period - now
                    return true
                end
            end)
        end
        if gone > 0 then
            redis.call('LSET', key, -1, text(total))
            forget()
        end
    end
elseif op == 'charge' and want > 0 then
    add(want)
elseif op == 'give' and total > 0 and taken + period > now then
    -- From the oldest on: what stays counts for as long as it would, so that nobody gains by it.
    redis.call('LTRIM', key, gone, -1)
    gone = 0
    while want > 0 and total > 0 do
        local at, had = entry(redis.call('LPOP', key))
        local back = math.min(had, want)
        want, total = want - back, total - back
        if back < had then redis.call('LPUSH', key, text(at) .. ':' .. text(had - back)) end
    end
    redis.call('LSET', key, -1, text(total))
    forget()
end
local reset = 0
if total > 0 then reset = newest + period - now end
return answer(units, limit - total, reset, retry)
