-- wrk's requests with a new token for each. wrk is given a file of tokens, one a line, and how far
-- into it to begin. It reads as it goes, so that its memory does not grow with the file.
local head, tokens

function init(arguments)
    tokens = assert(io.open(arguments[1], "r"))
    assert(tokens:seek("set", tonumber(arguments[2])))
    head = wrk.format("GET"):gsub("\r\n\r\n$", "\r\nAuthorization: Bearer ")
end

function request()
    -- No token is sent twice: a contender may know the verdict on it.
    local token = assert(tokens:read("*l"), "the tokens are used up, --tokens makes more")
    return head .. token .. "\r\n\r\n"
end
