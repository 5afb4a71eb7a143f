-- What is to be removed later, and may have to be tried again; and what the feed's present says of mentions.

-- Photos' bytes that nobody may need any more. A row is written with what makes it so, and goes with the bytes; while
-- some are being kept, a row that is due much later holds them.
create table feed.photo_removal (
    id        bigint generated always as identity primary key,
    digest    text not null,                      -- as in feed.media; looked at again when it is due
    due_at    timestamptz not null,
    attempts  integer not null default 0,         -- failures so far
    error     text                                -- of the last failure
);
create index photo_removal_due on feed.photo_removal (due_at, id);
create index photo_removal_digest on feed.photo_removal (digest);
create index media_digest on feed.media (digest);                                       -- whether bytes are needed
create index media_unattached on feed.media (created_at) where post_id is null;         -- uploads nobody came back for
grant select, insert, update, delete on feed.photo_removal to chorus_feed;

-- Ids that stood in an inbox are remembered for a while after they went.
alter table notify.removed add column removed_at timestamptz not null default now();
create index removed_age on notify.removed (removed_at);

-- Whom a post or comment mentions now, so that a mention which an edit took out is one that does not stand.
create or replace view feed_v1.post as
    select id, author_id, deleted_at is not null as deleted,
           array(select (e ->> 'account_id')::bigint from jsonb_array_elements(entities) e
                 where e ->> 'type' = 'mention') as mentions
    from feed.post;
create or replace view feed_v1.comment as
    select id, post_id, parent, author_id, deleted_at is not null as deleted,
           array(select (e ->> 'account_id')::bigint from jsonb_array_elements(entities) e
                 where e ->> 'type' = 'mention') as mentions
    from feed.comment;
