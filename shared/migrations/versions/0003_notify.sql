-- Notify's own schema: inboxes, what stands in them, and how far the notifier has come.

create schema notify;

create table notify.inbox (
    account_id  bigint primary key,               -- of feed_v1.account; no reference across schemas
    unread      integer not null default 0 check (unread >= 0),
    read_up_to  bigint not null default 0,        -- every notification with an id up to here is read
    last_id     bigint not null default 0         -- newest id given out here: the next is greater, whatever clocks say
) with (fillfactor = 50);

-- Ids are strictly increasing within one inbox, made under its lock; so "read up to" and "newest first" are one order.
create table notify.notification (
    account_id  bigint not null references notify.inbox,
    id          bigint not null,
    kind        text not null,                    -- comment, reply, mention, reaction
    actor_id    bigint not null,
    post_id     bigint not null,
    comment_id  bigint,
    cause       text not null,                    -- once per recipient: 'post:7', 'comment:123', 'reaction:post:7:99'
    created_at  timestamptz not null,             -- when it happened, not when it was told
    primary key (account_id, id),
    unique (account_id, cause)
);
create index notification_post on notify.notification (post_id);                                    -- a deleted post's
create index notification_comment on notify.notification (comment_id) where comment_id is not null; -- a deleted comment's

-- Ids that stood in an inbox and are gone: "read up to" one of them is still a thing that a page may say.
create table notify.removed (
    account_id  bigint not null,
    id          bigint not null,
    primary key (account_id, id)
);

-- The notifier's place in each log; moved in the transaction that writes what it read.
create table notify.cursor (
    log    smallint primary key,
    epoch  integer not null,
    seq    bigint not null
);

-- Events that could not be decoded or handled; kept with the error until somebody replays them.
create table notify.dead_letter (
    log       smallint not null,
    seq       bigint not null,
    event_id  bigint not null,
    type      text not null,
    at        text not null,                      -- as on the wire
    payload   bytea not null,
    error     text not null,
    parked_at timestamptz not null,
    primary key (log, seq)
);

-- More recipients than one transaction should hold: workers write them page by page.
create table notify.fanout_job (
    id          bigint primary key,
    kind        text not null,                    -- of the notifications; 'removal': take them away again
    actor_id    bigint,                           -- null for a removal
    post_id     bigint not null,
    comment_id  bigint,
    cause       text not null,
    recipients  bigint[] not null,                -- sorted
    done        integer not null default 0,       -- how many of the recipients have been written
    happened_at timestamptz not null,
    attempts    integer not null default 0,       -- failures of the present page
    due_at      timestamptz not null,
    error       text                              -- of the last failure
);
create index fanout_job_due on notify.fanout_job (due_at);

grant usage on schema notify to chorus_notify;
grant select, insert, update, delete on all tables in schema notify to chorus_notify;
