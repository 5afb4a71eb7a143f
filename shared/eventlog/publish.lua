-- Appends a page of entries to one stream, each under the id <epoch>-<seq>. Repeating it changes nothing.
-- KEYS[1] stream; ARGV: epoch, the seq before the page's first, longest length, then i t a c p for each entry.
-- Returns the stream's last seq; errors FENCED (a newer epoch is here) and GAP (the entry before is not).
local epoch, after = tonumber(ARGV[1]), tonumber(ARGV[2])
local last_epoch, last_seq = -1, -1
if redis.call('EXISTS', KEYS[1]) == 1 then
    local about = redis.call('XINFO', 'STREAM', KEYS[1])
    for n = 1, #about, 2 do
        if about[n] == 'last-generated-id' then
            local e, s = string.match(about[n + 1], '^(%d+)-(%d+)$')
            last_epoch, last_seq = tonumber(e), tonumber(s)
        end
    end
end
if last_epoch > epoch then
    return redis.error_reply('FENCED the stream is in epoch ' .. string.format('%.0f', last_epoch))
end
if last_epoch < epoch or last_seq < after then
    return redis.error_reply('GAP the stream ends before ' .. ARGV[2])
end
local seq = after
for n = 4, #ARGV, 5 do
    seq = seq + 1
    if seq > last_seq then
        redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], string.format('%.0f-%.0f', epoch, seq),
            'i', ARGV[n], 't', ARGV[n + 1], 'a', ARGV[n + 2], 'c', ARGV[n + 3], 'p', ARGV[n + 4])
    end
end
return math.max(seq, last_seq)
