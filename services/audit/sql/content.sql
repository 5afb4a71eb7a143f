-- Named queries of `chorus audit` about what members wrote, and the counts kept beside it; in the feed's role.

-- name: posts_edge(after, page)^
-- Where the next page of posts ends, and how many it has.
select max(id) as last, count(*) as looked
from (select id from feed.post where id > :after::bigint order by id limit :page::integer) p;

-- name: comments_edge(after, page)^
select max(id) as last, count(*) as looked
from (select id from feed.comment where id > :after::bigint order by id limit :page::integer) p;

-- name: topics_edge(after, page)^
select max(slug) as last, count(*) as looked
from (select slug from feed.topic where slug > :after::text order by slug limit :page::integer) p;

-- name: media_edge(after, page)^
select max(id) as last, count(*) as looked
from (select id from feed.media where id > :after::bigint order by id limit :page::integer) p;

-- name: rows_about
-- How many rows there are, roughly: for bars alone.
select relname as name, reltuples::bigint as rows from pg_class
where relnamespace = 'feed'::regnamespace and relname in ('post', 'comment', 'topic', 'media');

-- name: wrong_post_counts(after, last)
-- Posts that stand whose counts are not what the rows say; `lacking` has none. Of deleted ones nobody is shown any.
with counted as (
    select p.id, c.post_id is null as lacking, c.comments, c.reactions, c.reaction_total,
           (select count(*) from feed.comment m where m.post_id = p.id and m.deleted_at is null) as true_comments,
           coalesce((select jsonb_object_agg(k.kind, k.n) from (
               select r.kind, count(*) as n from feed.reaction r where r.post_id = p.id group by r.kind) k), '{}'
           ) as true_reactions,
           (select count(*) from feed.reaction r where r.post_id = p.id) as true_total
    from feed.post p left join feed.post_count c on c.post_id = p.id
    where p.id > :after::bigint and p.id <= :last::bigint and p.deleted_at is null
)
select * from counted
where lacking or comments <> true_comments or reactions <> true_reactions or reaction_total <> true_total order by id;

-- name: wrong_comment_counts(after, last)
-- The same of comments below posts that stand; of a deleted comment only its answers are shown.
with counted as (
    select m.id, c.comment_id is null as lacking, c.replies, c.reactions, c.reaction_total,
           (select count(*) from feed.comment a where a.parent = m.id and a.deleted_at is null) as true_replies,
           coalesce((select jsonb_object_agg(k.kind, k.n) from (
               select r.kind, count(*) as n from feed.comment_reaction r where r.comment_id = m.id group by r.kind) k), '{}'
           ) as true_reactions,
           (select count(*) from feed.comment_reaction r where r.comment_id = m.id) as true_total,
           m.deleted_at is not null as deleted
    from feed.comment m join feed.post p on p.id = m.post_id left join feed.comment_count c on c.comment_id = m.id
    where m.id > :after::bigint and m.id <= :last::bigint and p.deleted_at is null
)
select * from counted
where lacking or replies <> true_replies
   or (not deleted and (reactions <> true_reactions or reaction_total <> true_total)) order by id;

-- name: wrong_topic_counts(after, last)
with counted as (
    select t.slug, c.slug is null as lacking, c.people, c.stories, c.posts,
           (select count(*) from feed.membership m where m.topic = t.slug) as true_people,
           (select count(*) from feed.post_topic p where p.topic = t.slug and p.kind = 'story') as true_stories,
           (select count(*) from feed.post_topic p where p.topic = t.slug and p.kind = 'post') as true_posts
    from feed.topic t left join feed.topic_count c on c.slug = t.slug
    where t.slug > :after::text and t.slug <= :last::text
)
select * from counted
where lacking or people <> true_people or stories <> true_stories or posts <> true_posts order by slug;

-- name: posts_with_topics(after, last)
-- What each post says, and each of its topics as (slug, place among those asked for, place in the text, kind).
select p.id, p.kind, p.body, p.deleted_at is not null as deleted,
       coalesce((select jsonb_agg(jsonb_build_array(t.topic, t.asked, t.in_text, t.kind))
                 from feed.post_topic t where t.post_id = p.id), '[]') as places
from feed.post p where p.id > :after::bigint and p.id <= :last::bigint order by p.id;

-- name: photos(after, last)
-- Each photo's bytes, and whether its original is kept too.
select m.id, m.digest,
       exists (select from feed.import_ref r where r.type = 'media' and r.id = m.id) as imported
from feed.media m where m.id > :after::bigint and m.id <= :last::bigint order by m.id;

-- name: photos_still_there(ids)
select id from feed.media where id = any(:ids::bigint[]);

-- name: unneeded(digests)
-- Bytes that no photo has, and that nobody holds or is about to remove.
select d as digest from unnest(:digests::text[]) as d
where not exists (select from feed.media m where m.digest = d)
  and not exists (select from feed.photo_removal r where r.digest = d);

-- name: wrong_roles
-- Members whose role is not what the last record says, and records that do not follow the one before them.
with latest as (
    select distinct on (account_id) account_id, role from feed.role_grant order by account_id, id desc
), chained as (
    select id, account_id, before, lag(role, 1, 'member') over (partition by account_id order by id) as was
    from feed.role_grant
)
select a.id as account_id, null::bigint as record, a.role as has, coalesce(l.role, 'member') as recorded
from feed.account a left join latest l on l.account_id = a.id
where (a.role <> 'member' or l.account_id is not null) and a.role <> coalesce(l.role, 'member')
union all
select account_id, id, before, was from chained where before <> was
order by account_id, record;

-- name: roles_looked_at$
select count(*) from (
    select id from feed.account where role <> 'member' union select account_id from feed.role_grant
) members;
