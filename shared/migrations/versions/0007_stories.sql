-- Roles, and every grant of one; stories from their first words to the post that they become.
-- Expands only: what ran before it runs on, and finds every member a member.

alter table feed.account add column role text not null default 'member'
    check (role in ('member', 'author', 'moderator', 'admin'));
create index account_role on feed.account (role, id) where role <> 'member';

-- Who was given which role, by whom, and from where. Nothing in it is ever changed.
create table feed.role_grant (
    id          bigint generated always as identity primary key,
    account_id  bigint not null references feed.account,
    role        text not null,
    before      text not null,
    origin      text not null check (origin in ('command', 'member')),
    granted_by  bigint references feed.account,   -- the admin who did it; null: a command
    operator    text,                             -- the system's account that ran the command
    at          timestamptz not null,
    check ((origin = 'member') = (granted_by is not null))
);
create function feed.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end $$;
create trigger role_grant_is_append_only before update or delete on feed.role_grant
    for each row execute function feed.refuse_change();

-- A story until it is published: then its words are its post's, and here is only where they went.
create table feed.story (
    id              bigint primary key,
    author_id       bigint not null references feed.account,
    state           text not null check (state in ('draft', 'review', 'returned', 'published')),
    title           text,
    body            text not null,
    topics          text[] not null,              -- those asked for, in the author's spelling
    content_warning text,
    version         integer not null default 1,   -- counts changes of words and of state
    created_at      timestamptz not null,
    changed_at      timestamptz not null,
    submitted_at    timestamptz,                  -- in review: since when
    post_id         bigint references feed.post,
    check ((state = 'published') = (post_id is not null)),
    check ((state = 'review') = (submitted_at is not null))
);
create index story_author on feed.story (author_id, id desc);
create index story_queue on feed.story (submitted_at, id) where state = 'review';
create unique index story_post on feed.story (post_id) where post_id is not null;

-- What happened to a story, and to the post that it became: by whom, and what they said of it.
create table feed.story_step (
    id        bigint generated always as identity primary key,
    story_id  bigint references feed.story on delete cascade,  -- null: an edit of a story that was never a draft here
    post_id   bigint references feed.post,                     -- for what happened after publishing
    actor_id  bigint not null references feed.account,
    step      text not null check (step in ('submitted', 'withdrawn', 'returned', 'published', 'edited')),
    version   integer not null,                                -- of the story, or of the post once there is one
    note      text,
    at        timestamptz not null,
    check (story_id is not null or post_id is not null)
);
create index story_step_story on feed.story_step (story_id, id) where story_id is not null;
create index story_step_post on feed.story_step (post_id, id) where post_id is not null;

-- The cover of a story that is no post yet: nobody may see it but those who may see the story.
alter table feed.media add column story_id bigint references feed.story;
create unique index media_story on feed.media (story_id) where story_id is not null;

-- A story as those who may see it get it: once published, with the words of its post. Those whose post is gone are not
-- in it.
create view feed.story_wire as
    select s.id, s.post_id, s.author_id, a.handle, a.display_name, s.state, s.version, s.created_at, s.changed_at,
           s.submitted_at,
           case when p.id is null then s.title else p.title end as title,
           case when p.id is null then s.body else p.body end as body,
           case when p.id is null then s.content_warning else p.content_warning end as content_warning,
           case when p.id is null then s.topics else array(
               select t.topic from feed.post_topic t where t.post_id = p.id and t.asked is not null order by t.asked)
           end as topics,
           (select json_build_array(m.id, m.alt, m.width, m.height) from feed.media m
            where m.story_id = s.id or (m.post_id = s.post_id and m.place = 0) limit 1) as cover
    from feed.story s join feed.account a on a.id = s.author_id left join feed.post p on p.id = s.post_id
    where p.deleted_at is null;

create view feed_v1.story as select id, author_id, state from feed.story;

grant select, insert on feed.role_grant to chorus_feed;
grant select, insert, update, delete on feed.story to chorus_feed;
grant select, insert on feed.story_step to chorus_feed;
grant select on feed.story_wire to chorus_feed;
grant select on feed_v1.story to chorus_feed, chorus_notify;
