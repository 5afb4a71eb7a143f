-- What an account has beside a name: an address to be recovered by, letters on their way, devices, and a way out.
-- Addresses stand in tables of their own, which only the feed reads; notify sees one in a letter that it must send.

alter table feed.account
    add column password_version integer not null default 1,  -- grows with each new password: ends links and sign-ins under way
    add column deleted_at timestamptz;                        -- a deleted account keeps its row, and nothing of its person
create index account_deleted on feed.account (deleted_at) where deleted_at is not null;

alter table feed.session
    add column device text,                       -- what the browser called itself, shortened: 'Firefox on Linux'
    add column seen_at timestamptz;               -- to the hour; null: not since it was opened

-- One address a member, and one that waits to be confirmed in its place.
create table feed.email (
    account_id    bigint primary key references feed.account,
    address       text,                           -- confirmed: letters for recovery go there
    folded        text unique,                    -- the same in lower case: at most one account has it
    confirmed_at  timestamptz,
    pending       text,
    pending_since timestamptz,
    version       integer not null default 1,     -- grows with every change: a link holds for one
    check ((address is null) = (folded is null) and (address is null) = (confirmed_at is null))
);

-- Letters to be sent, written with what makes them so; gone when they expire. Whether one was sent is notify's to know.
create table feed.letter (
    id          bigint primary key,
    kind        text not null check (kind in ('confirm', 'recover', 'password_changed', 'address_changed')),
    account_id  bigint references feed.account,   -- null for recovery: whose address it is shows when it is sent
    address     text not null,
    stamp       text not null default '',         -- of the state that a link is to change
    created_at  timestamptz not null,
    expires_at  timestamptz not null
);
create index letter_expires on feed.letter (expires_at);
create index letter_account on feed.letter (account_id) where account_id is not null;

-- Handles of those who left, for a while nobody's. Whose they were is not kept.
create table feed.handle_hold (
    handle  text primary key,
    until   timestamptz not null
);

-- What is still to be done for those who left, page by page.
create table feed.departure (
    account_id  bigint primary key references feed.account,
    words       text not null check (words in ('remove', 'keep')),
    asked_at    timestamptz not null,
    due_at      timestamptz not null,
    post_after  bigint not null default 0,        -- kept words: how far posts and comments bear the new name
    comment_after bigint not null default 0,
    log_after   bigint[] not null default '{}',   -- removed words: how far each log was looked through
    attempts    integer not null default 0,       -- failures in a row
    error       text                              -- the last one's kind
);
create index comment_author on feed.comment (author_id, id);   -- a member's comments, for whoever leaves
create index reaction_account on feed.reaction (account_id);
create index comment_reaction_account on feed.comment_reaction (account_id);
create index media_owner on feed.media (owner_id) where post_id is null;

-- Letters as they are to be sent: those whose reason still stands, with whom they are for.
create view feed_v1.letter as
    select l.id, l.kind, a.id as account_id, a.handle, a.display_name, l.address, l.stamp, l.expires_at
    from feed.letter l join feed.email e on e.account_id = l.account_id and e.version::text = l.stamp
    join feed.account a on a.id = l.account_id
    where l.kind = 'confirm'
    union all
    select l.id, l.kind, a.id, a.handle, a.display_name, e.address, a.password_version || '.' || e.version, l.expires_at
    from feed.letter l join feed.email e on e.folded = l.address join feed.account a on a.id = e.account_id
    where l.kind = 'recover' and a.deleted_at is null
    union all
    select l.id, l.kind, a.id, a.handle, a.display_name, l.address, l.stamp, l.expires_at
    from feed.letter l join feed.account a on a.id = l.account_id
    where l.kind not in ('confirm', 'recover');
create view feed_v1.departed as
    select id, deleted_at from feed.account where deleted_at is not null;

grant select, insert, update, delete on feed.email, feed.letter, feed.handle_hold, feed.departure to chorus_feed;
grant select on feed_v1.letter, feed_v1.departed to chorus_feed, chorus_notify;

-- How far letters came. A claim is a due time in the future: who dies with it is followed by another.
create table notify.letter (
    id          bigint primary key,               -- of feed_v1.letter
    attempts    integer not null default 0,
    due_at      timestamptz not null,             -- when it may be tried (again)
    sent_at     timestamptz,
    given_up_at timestamptz,                      -- the mail server refused its address for good
    error       text                              -- of the last failure: its kind and code, never its words
);
create index letter_age on notify.letter (due_at);
grant select, insert, update, delete on notify.letter to chorus_notify;

-- Removes from the log what a member wrote: of the next p_limit entries after p_after, those of these types that are
-- visible on p_channel and don't hold p_unless. Returns the last position looked at; null at the log's end.
create function eventlog.redact_on_channel(
    p_log smallint, p_after bigint, p_limit integer, p_channel text, p_types text[], p_unless bytea
) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
declare
    found_seq bigint[];
    last bigint;
begin
    select max(x.seq), array_agg(x.seq order by x.seq) filter (
        where e.type = any (p_types) and p_channel = any (e.channels) and position(p_unless in e.payload) = 0)
    into last, found_seq
    from (select * from eventlog.entry
          where log = p_log and seq > p_after order by seq limit p_limit) x
    join eventlog.event e on e.log = x.log and e.xid = x.xid and e.id = x.event_id and e.at = x.at;
    perform eventlog.redact(p_log, s) from unnest(coalesce(found_seq, '{}')) as s;
    return last;
end $$;
revoke all on function eventlog.redact_on_channel from public;
grant execute on function eventlog.redact_on_channel to chorus_feed;
