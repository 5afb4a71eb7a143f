-- Named queries of delivery: which letter is next, and what became of it. Addresses are read, and never kept.

-- name: claim_letter(now, until)^
-- The oldest letter that nobody has sent or is sending, ours until then; no row when there is none.
with waiting as (
    select l.id, l.kind, l.account_id, l.handle, l.display_name, l.address, l.stamp, l.expires_at
    from feed_v1.letter l left join notify.letter p on p.id = l.id
    where l.expires_at > :now
      and (p.id is null or (p.sent_at is null and p.given_up_at is null and p.due_at <= :now))
    order by l.id limit 1
), claimed as (
    insert into notify.letter as p (id, attempts, due_at) select id, 1, :until from waiting
    on conflict (id) do update set attempts = p.attempts + 1, due_at = excluded.due_at
    where p.sent_at is null and p.given_up_at is null and p.due_at <= :now
    returning p.id, p.attempts
)
select waiting.*, claimed.attempts from waiting join claimed using (id);

-- name: letter_sent(id, now)!
update notify.letter set sent_at = :now, error = null where id = :id;

-- name: letter_refused(id, now, error)!
-- For good: it is not tried again.
update notify.letter set given_up_at = :now, error = :error where id = :id;

-- name: letter_postponed(id, due_at, error)!
update notify.letter set due_at = :due_at, error = :error where id = :id;

-- name: forget_letters(before)!
-- What became of letters that the feed has long forgotten.
delete from notify.letter where due_at < :before;
