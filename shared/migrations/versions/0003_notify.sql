-- Notify's own schema: inboxes, what stands in them, and how far the notifier has come.

create schema notify;

create table notify.inbox (
    account_id  bigint primary key,               -- of feed_v1.account; no reference across schemas
    unread      integer not null default 0 check (unread >= 0),
    read_up_to  bigint not null default 0,        -- every notification with an id up to here is read
    version     integer not null default 0
) with (fillfactor = 50);

create table notify.notification (
    id          bigint primary key,
    account_id  bigint not null references notify.inbox,
    kind        text not null,                    -- comment, reply, mention, reaction
    actor_id    bigint not null,
    post_id     bigint not null,
    comment_id  bigint,
    cause       text not null,                    -- what it is about, once per recipient: 'comment:123', 'reaction:7:99'
    created_at  timestamptz not null,
    unique (account_id, cause)
);
create index notification_inbox on notify.notification (account_id, id desc);
create index notification_post on notify.notification (post_id);

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
    payload   bytea not null,
    error     text not null,
    parked_at timestamptz not null,
    primary key (log, seq)
);

-- More recipients than one transaction should hold: workers write them page by page.
create table notify.fanout_job (
    id          bigint primary key,
    log         smallint not null,
    seq         bigint not null,
    kind        text not null,
    actor_id    bigint not null,
    post_id     bigint not null,
    comment_id  bigint,
    cause       text not null,
    recipients  bigint[] not null,
    done        integer not null default 0,       -- how many of the recipients have been written
    created_at  timestamptz not null,
    unique (log, seq, cause)
);

grant usage on schema notify to chorus_notify;
grant select, insert, update, delete on all tables in schema notify to chorus_notify;
