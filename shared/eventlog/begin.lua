-- Empties one stream and sets its last id to <epoch>-<seq>, from which entries are appended again.
-- KEYS[1] stream; ARGV: epoch, seq. The last id alone fences older epochs from then on. Errors FENCED.
if redis.call('EXISTS', KEYS[1]) == 1 then
    local about = redis.call('XINFO', 'STREAM', KEYS[1])
    for n = 1, #about, 2 do
        if about[n] == 'last-generated-id' then
            if tonumber(string.match(about[n + 1], '^(%d+)-')) > tonumber(ARGV[1]) then
                return redis.error_reply('FENCED the stream is at ' .. about[n + 1])
            end
        end
    end
    redis.call('DEL', KEYS[1])
end
local id = ARGV[1] .. '-' .. ARGV[2]
redis.call('XADD', KEYS[1], id, 'i', '0')
redis.call('XDEL', KEYS[1], id)
return id
