-- name: read_post(post_id, viewer)^
-- One post, the viewer's reaction, and the positions of the same snapshot; no row when it is gone.
select w.*, (select r.kind from feed.reaction r where r.post_id = w.id and r.account_id = :viewer::bigint) as mine,
       eventlog.head_cursor() as as_of
from feed.post_wire w where w.id = :post_id;

-- name: newest_posts(topic, viewer, before, page)
-- A topic's posts, newest first; always at least one row: the positions, and whether the topic exists.
with head as materialized (select eventlog.head_cursor() as as_of),
page as materialized (
    select t.post_id from feed.post_topic t
    where t.topic = :topic and t.post_id < :before order by t.post_id desc limit :page::integer
)
select head.as_of, exists (select from feed.topic t where t.slug = :topic) as topic_exists, w.*, r.kind as mine
from head left join (page join feed.post_wire w on w.id = page.post_id) on true
left join feed.reaction r on r.post_id = w.id and r.account_id = :viewer::bigint
order by w.id desc;

-- name: newest_posts_of_kind(topic, kind, viewer, before, page)
-- The same, of one kind.
with head as materialized (select eventlog.head_cursor() as as_of),
page as materialized (
    select t.post_id from feed.post_topic t
    where t.topic = :topic and t.kind = :kind and t.post_id < :before order by t.post_id desc limit :page::integer
)
select head.as_of, exists (select from feed.topic t where t.slug = :topic) as topic_exists, w.*, r.kind as mine
from head left join (page join feed.post_wire w on w.id = page.post_id) on true
left join feed.reaction r on r.post_id = w.id and r.account_id = :viewer::bigint
order by w.id desc;

-- name: hottest_posts(topic, kind, viewer, hot, before, newest, page)
-- The hottest of a topic's newest posts, of any kind when kind is null, after (hot, before).
with head as materialized (select eventlog.head_cursor() as as_of),
recent as (
    select t.post_id from feed.post_topic t
    where t.topic = :topic and (:kind::text is null or t.kind = :kind) order by t.post_id desc limit :newest::integer
), page as materialized (
    select c.post_id from recent join feed.post_count c using (post_id)
    where (c.hot, c.post_id) < (:hot::double precision, :before::bigint)
    order by c.hot desc, c.post_id desc limit :page::integer
)
select head.as_of, exists (select from feed.topic t where t.slug = :topic) as topic_exists, w.*, r.kind as mine
from head left join (page join feed.post_wire w on w.id = page.post_id) on true
left join feed.reaction r on r.post_id = w.id and r.account_id = :viewer::bigint
order by w.hot desc, w.id desc;

-- name: create_post(id, author_id, session_id, kind, title, body, entities, content_warning, created_at, hot, slugs, asked, in_text, key, digest, answer, channels, payload, request_id)^
-- A post with its topics, counts, first answer and events, in one statement. Its topics exist already.
-- No row when the session has ended, or the Idempotency-Key was used: a concurrent request with it is waited for.
with standing as materialized (
    select s.account_id from feed.session s
    where s.id = :session_id and s.account_id = :author_id and s.revoked_at is null and s.expires_at > :created_at
), claimed as (
    insert into feed.idempotency (account_id, key, digest, status, body, created_at)
    select s.account_id, :key, :digest::bytea, 201, :answer::bytea, :created_at
    from standing s where :key::text is not null
    on conflict do nothing returning key
), post as (
    insert into feed.post (id, author_id, kind, title, body, entities, content_warning, created_at)
    select :id, s.account_id, :kind, :title, :body, :entities::jsonb, :content_warning, :created_at
    from standing s where :key::text is null or exists (select from claimed)
    returning id
), counts as (
    insert into feed.post_count (post_id, hot) select post.id, :hot from post
), tagged as (
    insert into feed.post_topic (topic, post_id, kind, asked, in_text)
    select t.slug, post.id, :kind, t.asked, t.in_text
    from post, unnest(:slugs::text[], :asked::smallint[], :in_text::smallint[]) as t(slug, asked, in_text)
), locked as (
    select c.slug from feed.topic_count c, post where c.slug = any(:slugs::text[]) order by c.slug for update of c
), moved as (
    update feed.topic_count c
    set posts = c.posts + (:kind = 'post')::integer, stories = c.stories + (:kind = 'story')::integer,
        version = c.version + 1
    from locked where c.slug = locked.slug returning c.*
), told as (
    select eventlog.append(t.slug, 'topic.changed', array['topic:' || t.slug], convert_to(json_build_object('topic',
        json_build_object('slug', t.slug, 'name', t.name, 'tag', t.tag, 'description', t.description, 'people', m.people,
            'stories', m.stories, 'posts', m.posts, 'version', m.version))::text, 'UTF8'), :request_id) as event
    from moved m join feed.topic t on t.slug = m.slug
)
select post.id,
       eventlog.append(:id::bigint::text, 'post.created', :channels::text[], :payload::bytea, :request_id) as event,
       (select count(event) from told) as told, eventlog.head_cursor() as as_of
from post;

-- name: topics_of_post(post_id)
-- Where a post stands: each topic with its place among those asked for and among those in the text.
select topic, asked, in_text from feed.post_topic where post_id = :post_id order by asked nulls last, in_text;

-- name: lock_post(post_id)^
-- Holds a post for a change of its own; no row when it is gone.
select id, author_id, kind, title, body, content_warning, version from feed.post
where id = :post_id and deleted_at is null for update;

-- name: update_post(post_id, title, body, entities, content_warning, now)!
-- An edit: one version on.
update feed.post set title = :title, body = :body, entities = :entities::jsonb, content_warning = :content_warning,
    version = version + 1, edited_at = :now
where id = :post_id;

-- name: untag_post(post_id)!
-- Out of all its topics.
delete from feed.post_topic where post_id = :post_id;

-- name: tag_post(post_id, kind, slugs, asked, in_text)!
-- Into these topics.
insert into feed.post_topic (topic, post_id, kind, asked, in_text)
select t.slug, :post_id, :kind, t.asked, t.in_text
from unnest(:slugs::text[], :asked::smallint[], :in_text::smallint[]) as t(slug, asked, in_text);

-- name: delete_post(post_id, now)^
-- The words go, the row stays: its id is never given again, and its version still grows.
update feed.post set title = null, body = '', entities = '[]', content_warning = null, deleted_at = :now,
    version = version + 1
where id = :post_id returning version;

-- name: hold_post(post_id)^
-- Keeps a post from being edited, moved or deleted beside us, and holds its counts; no row when it is gone.
-- What else we must know of it is read by a later statement: this one's snapshot is older than its locks.
select p.author_id, p.created_at, c.reactions, c.reaction_total, c.comments, c.version
from feed.post p join feed.post_count c on c.post_id = p.id
where p.id = :post_id and p.deleted_at is null for share of p for update of c;

-- name: share_post(post_id)^
-- Keeps a post from being deleted beside us; no row when it is gone.
select id, author_id from feed.post where id = :post_id and deleted_at is null for share;

-- name: set_post_counts(post_id, reactions, reaction_total, comments, hot)^
-- New counts, absolute, one version on.
update feed.post_count set reactions = :reactions::jsonb, reaction_total = :reaction_total, comments = :comments,
    hot = :hot, version = version + 1
where post_id = :post_id returning version;
