-- name: create_story(id, author_id, title, body, topics, content_warning, now)!
-- A draft, its author's alone.
insert into feed.story (id, author_id, state, title, body, topics, content_warning, created_at, changed_at)
values (:id, :author_id, 'draft', :title, :body, :topics::text[], :content_warning, :now, :now);

-- name: read_story(story_id)^
-- A story by its own id or by its post's, and the log's positions of the same snapshot.
select w.*, eventlog.head_cursor() as as_of from feed.story_wire w
where w.id = :story_id or w.post_id = :story_id;

-- name: stories_of(author_id, before, page)
-- Somebody's own, newest first; always at least one row, for the positions.
with head as materialized (select eventlog.head_cursor() as as_of),
page as materialized (
    select w.* from feed.story_wire w where w.author_id = :author_id and w.id < :before
    order by w.id desc limit :page::integer
)
select head.as_of, page.* from head left join page on true order by page.id desc;

-- name: stories_in_review(at, after, page)
-- What waits for a moderator, who waited longest first, after (at, after); always at least one row, for the positions.
with head as materialized (select eventlog.head_cursor() as as_of),
page as materialized (
    select w.* from feed.story_wire w
    where w.state = 'review' and (w.submitted_at, w.id) > (:at::timestamptz, :after::bigint)
    order by w.submitted_at, w.id limit :page::integer
)
select head.as_of, page.* from head left join page on true order by page.submitted_at, page.id;

-- name: steps_of_story(story_id, post_id)
-- What happened to it, oldest first.
select s.step, s.version, s.note, s.at, a.id, a.handle, a.display_name
from feed.story_step s join feed.account a on a.id = s.actor_id
where s.story_id = :story_id or s.post_id = :post_id::bigint order by s.id;

-- name: lock_story(story_id)^
-- Holds a story for a change of its words or its state.
select s.id, s.author_id, s.state, s.title, s.body, s.topics, s.content_warning, s.version, m.id as cover, m.alt
from feed.story s left join feed.media m on m.story_id = s.id
where s.id = :story_id or s.post_id = :story_id for update of s;

-- name: change_story(story_id, title, body, topics, content_warning, now)!
-- New words: one version on.
update feed.story set title = :title, body = :body, topics = :topics::text[], content_warning = :content_warning,
    changed_at = :now, version = version + 1
where id = :story_id;

-- name: move_story(story_id, state, submitted_at, now)^
-- Another state: one version on.
update feed.story set state = :state, submitted_at = :submitted_at, changed_at = :now, version = version + 1
where id = :story_id returning version;

-- name: publish_story(story_id, post_id, now)^
-- From here on its words are its post's.
update feed.story set state = 'published', post_id = :post_id, submitted_at = null, title = null, body = '',
    topics = '{}', content_warning = null, changed_at = :now, version = version + 1
where id = :story_id returning version;

-- name: delete_story(story_id)!
-- With what was said of it.
delete from feed.story where id = :story_id;

-- name: record_step(story_id, post_id, actor_id, step, version, note, at)!
-- Who did what, and what they said.
insert into feed.story_step (story_id, post_id, actor_id, step, version, note, at)
values (:story_id, :post_id, :actor_id, :step, :version, :note, :at);

-- name: insert_post(id, author_id, kind, title, body, entities, content_warning, created_at, hot)!
-- A post and its counts, without topics yet.
with post as (
    insert into feed.post (id, author_id, kind, title, body, entities, content_warning, created_at)
    values (:id, :author_id, :kind, :title, :body, :entities::jsonb, :content_warning, :created_at) returning id
)
insert into feed.post_count (post_id, hot) select id, :hot from post;

-- name: hold_cover(story_id, media_id)!
-- The photo is the story's cover, and no post's.
update feed.media set story_id = :story_id where id = :media_id;

-- name: drop_cover(story_id, kept, now)!
-- The story's cover goes, unless it is the one kept: nothing serves it any more, and its bytes are to follow.
with gone as (
    delete from feed.media where story_id = :story_id and id is distinct from :kept::bigint returning digest
)
insert into feed.photo_removal (digest, due_at) select digest, :now::timestamptz from gone;

-- name: hand_over_cover(story_id, post_id)!
-- The story's cover is its post's first photo.
update feed.media set post_id = :post_id, place = 0, story_id = null where story_id = :story_id;
