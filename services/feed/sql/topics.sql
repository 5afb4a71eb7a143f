-- name: read_topic(slug, viewer)^
-- A header, whether the viewer (null: a guest) has joined, and the positions of the same snapshot.
select w.*, exists (select from feed.membership m where m.account_id = :viewer::bigint and m.topic = w.slug) as joined,
       eventlog.head_cursor() as as_of
from feed.topic_wire w where w.slug = :slug;

-- name: list_topics(viewer, people, slug, page)
-- Topics, the most followed first, after (people, slug); always at least one row, for the positions.
with head as materialized (select eventlog.head_cursor() as as_of),
page as (
    select c.slug from feed.topic_count c
    where :people::integer is null or c.people < :people or (c.people = :people and c.slug > :slug::text)
    order by c.people desc, c.slug limit :page::integer
)
select head.as_of, w.*, m.topic is not null as joined
from head left join (page join feed.topic_wire w using (slug)) on true
left join feed.membership m on m.account_id = :viewer::bigint and m.topic = w.slug
order by w.people desc, w.slug;

-- name: known_topics(slugs)
-- Which of these exist.
select slug from feed.topic where slug = any(:slugs::text[]);

-- name: make_topics(slugs, tags, now)!
-- Topics for tags that had none, in the author's spelling; those that somebody made meanwhile stay theirs.
insert into feed.topic (slug, name, tag, created_at)
select t.slug, t.tag, t.tag, :now from unnest(:slugs::text[], :tags::text[]) as t(slug, tag) order by t.slug
on conflict do nothing;

-- name: make_topic_counts(slugs)!
-- The counts of new topics.
insert into feed.topic_count (slug) select s from unnest(:slugs::text[]) as s order by s on conflict do nothing;

-- name: lock_topics(slugs)
-- Holds the counts of these topics, in the one order that everybody locks in.
select slug from feed.topic_count where slug = any(:slugs::text[]) order by slug for update;

-- name: move_topics(slugs, people, stories, posts)
-- Adds to each topic's counts; their rows are locked by this at the latest, in the one order.
with locked as (
    select slug from feed.topic_count where slug = any(:slugs::text[]) order by slug for update
), moved as (
    update feed.topic_count c
    set people = c.people + :people::integer, stories = c.stories + :stories::integer,
        posts = c.posts + :posts::integer, version = c.version + 1
    from locked where c.slug = locked.slug returning c.*
)
select t.slug, t.name, t.tag, t.description, m.people, m.stories, m.posts, m.version
from moved m join feed.topic t on t.slug = m.slug order by m.slug;

-- name: join_topic(account_id, topic, now)^
-- A membership; no row when there was one.
insert into feed.membership (account_id, topic, joined_at) values (:account_id, :topic, :now)
on conflict do nothing returning topic;

-- name: leave_topic(account_id, topic)^
-- No membership; no row when there was none.
delete from feed.membership where account_id = :account_id and topic = :topic returning topic;
