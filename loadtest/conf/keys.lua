-- wrk's requests with the same token and one of so many keys, in turn. wrk is given the token and the
-- number of keys.
local requests, last = {}, 0

function init(arguments)
    wrk.headers["Authorization"] = "Bearer " .. arguments[1]
    for number = 1, tonumber(arguments[2]) do
        wrk.headers["X-Key"] = "key-" .. (number - 1)
        requests[number] = wrk.format("GET")
    end
end

function request()
    last = last % #requests + 1
    return requests[last]
end
