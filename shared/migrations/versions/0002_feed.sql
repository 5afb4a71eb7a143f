-- The feed's own schema: what members wrote, and the counts kept beside it.
-- Ids are made by the application (time-ordered, 63 bits), so that a write needs no round trip to learn its id.
-- Counts stand in rows of their own, narrow and with room on the page, so that a busy count never rewrites a post's text.

create schema feed;
create schema feed_v1;

create table feed.account (
    id            bigint primary key,
    handle        text not null unique,           -- lower case; what members write after @
    display_name  text not null,
    password_hash text,                           -- null: imported, can't sign in
    version       integer not null default 1,
    created_at    timestamptz not null
);

create table feed.session (
    id          bigint primary key,
    account_id  bigint not null references feed.account,
    kind        text not null check (kind in ('token', 'cookie')),
    created_at  timestamptz not null,
    expires_at  timestamptz not null,             -- the last moment to which it can be renewed
    revoked_at  timestamptz
);
create index session_account on feed.session (account_id) where revoked_at is null;

create table feed.topic (
    slug         text primary key,                -- folded: NFKC, casefold, without - and _
    name         text not null,
    tag          text not null,                   -- the first author's spelling
    description  text,
    created_at   timestamptz not null
);

create table feed.topic_count (
    slug     text primary key references feed.topic,
    people   integer not null default 0 check (people >= 0),
    stories  integer not null default 0 check (stories >= 0),
    posts    integer not null default 0 check (posts >= 0),
    version  integer not null default 1
) with (fillfactor = 50);

create table feed.membership (
    account_id bigint not null references feed.account,
    topic      text not null references feed.topic,
    joined_at  timestamptz not null,
    primary key (account_id, topic)
);
create index membership_topic on feed.membership (topic, account_id);

create table feed.post (
    id              bigint primary key,
    author_id       bigint not null references feed.account,
    kind            text not null default 'post' check (kind in ('post', 'story')),
    title           text,
    body            text not null,
    entities        jsonb not null default '[]',  -- as the wire gives them; offsets count code points
    content_warning text,
    version         integer not null default 1,   -- counts edits, and the deletion
    created_at      timestamptz not null,
    edited_at       timestamptz,
    deleted_at      timestamptz                   -- a deleted post keeps its row and loses its words
);
create index post_author on feed.post (author_id, id desc) where deleted_at is null;

-- A post's topics, those asked for and those in its text kept apart; both may hold for one topic.
create table feed.post_topic (
    topic    text not null references feed.topic,
    post_id  bigint not null references feed.post,
    kind     text not null,                       -- the post's, so that a lane is one index scan
    asked    smallint,                            -- place among those asked for, from 0
    in_text  smallint,                            -- place of its first tag among the tags of the text, from 0
    primary key (topic, post_id),
    check (asked is not null or in_text is not null)
);
create index post_topic_post on feed.post_topic (post_id);
create index post_topic_kind on feed.post_topic (topic, kind, post_id desc);

create table feed.post_count (
    post_id         bigint primary key references feed.post,
    reactions       jsonb not null default '{}',  -- kind -> how many, no zeros
    reaction_total  integer not null default 0 check (reaction_total >= 0),
    comments        integer not null default 0 check (comments >= 0),
    version         integer not null default 0,
    hot             double precision not null default 0
) with (fillfactor = 50);

create table feed.reaction (
    post_id     bigint not null references feed.post,
    account_id  bigint not null references feed.account,
    kind        text not null,
    created_at  timestamptz not null,
    primary key (post_id, account_id)
);

create table feed.comment (
    id          bigint primary key,
    post_id     bigint not null references feed.post,
    parent      bigint references feed.comment,
    author_id   bigint not null references feed.account,
    body        text not null,
    entities    jsonb not null default '[]',
    version     integer not null default 1,
    created_at  timestamptz not null,
    edited_at   timestamptz,
    deleted_at  timestamptz                       -- its place in the thread stays, its words go
);
create index comment_post on feed.comment (post_id, id);
create index comment_parent on feed.comment (parent) where parent is not null;

create table feed.comment_count (
    comment_id      bigint primary key references feed.comment,
    reactions       jsonb not null default '{}',
    reaction_total  integer not null default 0 check (reaction_total >= 0),
    replies         integer not null default 0 check (replies >= 0),
    version         integer not null default 0
) with (fillfactor = 50);

create table feed.comment_reaction (
    comment_id  bigint not null references feed.comment,
    account_id  bigint not null references feed.account,
    kind        text not null,
    created_at  timestamptz not null,
    primary key (comment_id, account_id)
);

create table feed.media (
    id          bigint primary key,
    owner_id    bigint not null references feed.account,
    post_id     bigint references feed.post,      -- null until a post carries it
    place       smallint,                         -- its place in the post, from 0
    alt         text,
    type        text not null,                    -- of the served sizes, e.g. image/webp
    width       integer not null,
    height      integer not null,
    digest      text not null,                    -- sha256 of the original, in hex: the key in storage
    created_at  timestamptz not null
);
create index media_post on feed.media (post_id, place) where post_id is not null;

-- The first answer to a request that bore an Idempotency-Key, written in the transaction that it answers.
create table feed.idempotency (
    account_id  bigint not null references feed.account,
    key         text not null,
    digest      bytea not null,                   -- sha256 of method, path and body
    status      smallint not null,
    body        bytea not null,
    created_at  timestamptz not null,
    primary key (account_id, key)
);
create index idempotency_age on feed.idempotency (created_at);

-- Posts, comments and topics as the wire gives them, apart from what depends on the reader; gone posts are not in it.
create view feed.post_wire as
    select p.id, p.kind, p.author_id, a.handle, a.display_name, p.title, p.body, p.entities, p.content_warning,
           p.version, p.created_at, p.edited_at,
           c.reactions, c.reaction_total, c.comments, c.version as counts_version, c.hot,
           (select array_agg(t.topic order by t.asked nulls last, t.in_text)
            from feed.post_topic t where t.post_id = p.id) as topics,
           (select json_agg(json_build_array(m.id, m.alt, m.width, m.height) order by m.place)
            from feed.media m where m.post_id = p.id) as media
    from feed.post p join feed.account a on a.id = p.author_id join feed.post_count c on c.post_id = p.id
    where p.deleted_at is null;
create view feed.comment_wire as
    select m.id, m.post_id, m.parent, m.author_id, a.handle, a.display_name, m.body, m.entities,
           m.version, m.created_at, m.edited_at, m.deleted_at is not null as deleted,
           c.reactions, c.reaction_total, c.replies, c.version as counts_version
    from feed.comment m join feed.account a on a.id = m.author_id join feed.comment_count c on c.comment_id = m.id;
create view feed.topic_wire as
    select t.slug, t.name, t.tag, t.description, c.people, c.stories, c.posts, c.version
    from feed.topic t join feed.topic_count c on c.slug = t.slug;

-- What notify may know of the feed's present.
create view feed_v1.account as select id, handle, display_name from feed.account;
create view feed_v1.session as select id, account_id, expires_at, revoked_at from feed.session;
create view feed_v1.membership as select account_id, topic from feed.membership;
create view feed_v1.topic as select slug from feed.topic;
create view feed_v1.post as select id, author_id, deleted_at is not null as deleted from feed.post;
create view feed_v1.comment as
    select id, post_id, parent, author_id, deleted_at is not null as deleted from feed.comment;
create view feed_v1.reaction as
    select post_id, null::bigint as comment_id, account_id, kind from feed.reaction
    union all
    select c.post_id, r.comment_id, r.account_id, r.kind
    from feed.comment_reaction r join feed.comment c on c.id = r.comment_id;

grant usage on schema feed to chorus_feed;
grant select, insert, update, delete on all tables in schema feed to chorus_feed;
grant usage on schema feed_v1 to chorus_feed, chorus_notify;
grant select on all tables in schema feed_v1 to chorus_feed, chorus_notify;
