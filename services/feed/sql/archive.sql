-- name: one_import_at_a_time()!
-- Held to the end of the transaction: a second import waits, and then sees what the first one wrote.
select pg_advisory_xact_lock(4702);

-- name: import_refs(archive)
-- What was imported under this name.
select type, ref, id, place, digest, file from feed.import_ref where archive = :archive;

-- name: imported_photos(digests)
-- Photos whose sizes and originals are kept already.
select distinct on (m.digest) m.digest, m.type, m.width, m.height
from feed.media m join feed.import_ref r on r.type = 'media' and r.id = m.id
where m.digest = any(:digests::text[]);

-- name: taken_handles(handles)
-- Accounts that bear one of these handles.
select id, handle from feed.account where handle = any(:handles::text[]);

-- name: headers_of(slugs)
-- The headers of those topics that exist.
select slug, name, tag, description from feed.topic where slug = any(:slugs::text[]);

-- name: load_refs(archive, types, refs, ids, places, digests, files)!
insert into feed.import_ref (archive, type, ref, id, place, digest, file)
select :archive, t.* from unnest(:types::text[], :refs::text[], :ids::bigint[], :places::integer[], :digests::bytea[],
    :files::text[]) as t;

-- name: load_accounts(ids, handles, names, times)!
-- Without a password: imported members can't sign in.
insert into feed.account (id, handle, display_name, created_at)
select * from unnest(:ids::bigint[], :handles::text[], :names::text[], :times::timestamptz[]);

-- name: load_topics(slugs, names, tags, descriptions, now)!
-- Headers from the archive; one that only a hashtag had made gets its own.
insert into feed.topic as t (slug, name, tag, description, created_at)
select a.*, :now from unnest(:slugs::text[], :names::text[], :tags::text[], :descriptions::text[])
    as a(slug, name, tag, description) order by a.slug
on conflict (slug) do update set name = excluded.name, tag = excluded.tag, description = excluded.description
where (t.name, t.tag, t.description) is distinct from (excluded.name, excluded.tag, excluded.description);

-- name: load_memberships(accounts, topics, now)
-- Those that are new, by topic.
with joined as (
    insert into feed.membership (account_id, topic, joined_at)
    select a.*, :now from unnest(:accounts::bigint[], :topics::text[]) as a(account, topic)
    on conflict do nothing returning topic
)
select topic, count(*)::integer as people from joined group by topic;

-- name: load_posts(ids, authors, kinds, titles, bodies, entities, warnings, times, edits)!
with loaded as (
    insert into feed.post (id, author_id, kind, title, body, entities, content_warning, created_at, edited_at)
    select p.id, p.author, p.kind, p.title, p.body, p.entities::jsonb, p.warning, p.at, p.edited
    from unnest(:ids::bigint[], :authors::bigint[], :kinds::text[], :titles::text[], :bodies::text[], :entities::text[],
        :warnings::text[], :times::timestamptz[], :edits::timestamptz[])
        as p(id, author, kind, title, body, entities, warning, at, edited)
    returning id
)
insert into feed.post_count (post_id) select id from loaded;

-- name: load_post_topics(topics, posts, kinds, asked, in_text)!
insert into feed.post_topic (topic, post_id, kind, asked, in_text)
select * from unnest(:topics::text[], :posts::bigint[], :kinds::text[], :asked::smallint[], :in_text::smallint[]);

-- name: load_media(ids, owners, posts, places, alts, types, widths, heights, digests, times)!
insert into feed.media (id, owner_id, post_id, place, alt, type, width, height, digest, created_at)
select * from unnest(:ids::bigint[], :owners::bigint[], :posts::bigint[], :places::smallint[], :alts::text[],
    :types::text[], :widths::integer[], :heights::integer[], :digests::text[], :times::timestamptz[]);

-- name: load_comments(ids, posts, parents, authors, bodies, entities, times, edits)!
with loaded as (
    insert into feed.comment (id, post_id, parent, author_id, body, entities, created_at, edited_at)
    select c.id, c.post, c.parent, c.author, c.body, c.entities::jsonb, c.at, c.edited
    from unnest(:ids::bigint[], :posts::bigint[], :parents::bigint[], :authors::bigint[], :bodies::text[],
        :entities::text[], :times::timestamptz[], :edits::timestamptz[])
        as c(id, post, parent, author, body, entities, at, edited)
    returning id
)
insert into feed.comment_count (comment_id) select id from loaded;

-- name: load_reactions(posts, accounts, kinds, times)!
-- A member who has reacted meanwhile keeps what they chose.
insert into feed.reaction (post_id, account_id, kind, created_at)
select * from unnest(:posts::bigint[], :accounts::bigint[], :kinds::text[], :times::timestamptz[])
on conflict do nothing;

-- name: load_comment_reactions(comments, accounts, kinds, times)!
insert into feed.comment_reaction (comment_id, account_id, kind, created_at)
select * from unnest(:comments::bigint[], :accounts::bigint[], :kinds::text[], :times::timestamptz[])
on conflict do nothing;

-- name: hold_counts_of_posts(ids)
-- Nobody changes these posts' counts beside us; what was changed before is seen by the next statement.
select post_id from feed.post_count where post_id = any(:ids::bigint[]) order by post_id for update;

-- name: hold_counts_of_comments(ids)
select comment_id from feed.comment_count where comment_id = any(:ids::bigint[]) order by comment_id for update;

-- name: recount(posts, comments)
-- Counts made afresh from the rows, for posts and comments that are held; gives what ranks the posts.
with held as (
    select 'post' as noun, unnest(:posts::bigint[]) as id
    union all select 'comment', unnest(:comments::bigint[])
), reacted as (
    select noun, id, jsonb_object_agg(kind, n) as reactions, sum(n)::integer as total
    from (
        select 'post' as noun, post_id as id, kind, count(*) as n
        from feed.reaction where post_id = any(:posts::bigint[]) group by post_id, kind
        union all
        select 'comment', comment_id, kind, count(*)
        from feed.comment_reaction where comment_id = any(:comments::bigint[]) group by comment_id, kind
    ) by_kind group by noun, id
), answered as (
    select 'post' as noun, post_id as id, count(*)::integer as n
    from feed.comment where post_id = any(:posts::bigint[]) and deleted_at is null group by post_id
    union all
    select 'comment', parent, count(*)::integer
    from feed.comment where parent = any(:comments::bigint[]) and deleted_at is null group by parent
), counted as (
    select noun, id, coalesce(reactions, '{}') as reactions, coalesce(total, 0) as total, coalesce(n, 0) as answers
    from held left join reacted using (noun, id) left join answered using (noun, id)
), comments as (
    update feed.comment_count m
    set reactions = c.reactions, reaction_total = c.total, replies = c.answers, version = m.version + 1
    from counted c where c.noun = 'comment' and m.comment_id = c.id
)
update feed.post_count p
set reactions = c.reactions, reaction_total = c.total, comments = c.answers, version = p.version + 1
from counted c where c.noun = 'post' and p.post_id = c.id
returning p.post_id, p.reaction_total, p.comments, (select created_at from feed.post where id = p.post_id) as created_at;

-- name: load_hot(ids, hot)!
update feed.post_count p set hot = t.hot
from unnest(:ids::bigint[], :hot::double precision[]) as t(id, hot) where p.post_id = t.id;

-- name: add_to_topics(slugs, people, stories, posts)!
-- For topics that are held.
update feed.topic_count c
set people = c.people + t.people, stories = c.stories + t.stories, posts = c.posts + t.posts, version = c.version + 1
from unnest(:slugs::text[], :people::integer[], :stories::integer[], :posts::integer[]) as t(slug, people, stories, posts)
where c.slug = t.slug;

-- name: headers_with_counts(slugs)
select * from feed.topic_wire where slug = any(:slugs::text[]) order by slug;

-- name: topics_of_posts(ids)
-- Whose pages show one of these posts.
select distinct topic from feed.post_topic where post_id = any(:ids::bigint[]) order by topic;

-- name: export_topics(slugs)
-- These headers; all when null.
select slug, name, tag, description from feed.topic
where :slugs::text[] is null or slug = any(:slugs::text[]) order by created_at, slug;

-- name: export_members(ids)
select id, handle, display_name from feed.account where :ids::bigint[] is null or id = any(:ids::bigint[]) order by id;

-- name: export_memberships(members)
select account_id, topic from feed.membership
where :members::bigint[] is null or account_id = any(:members::bigint[]) order by joined_at, account_id, topic;

-- name: export_posts(ids)
-- Posts that stand, with the topics asked for.
select p.id, p.author_id, p.kind, p.title, p.body, p.content_warning, p.created_at, p.edited_at,
       array(select t.topic from feed.post_topic t where t.post_id = p.id and t.asked is not null order by t.asked) as asked
from feed.post p
where p.deleted_at is null and (:ids::bigint[] is null or p.id = any(:ids::bigint[])) order by p.id;

-- name: export_media(archive, posts)
-- Photos of posts; file is null where no original is kept.
select m.id, m.post_id, m.alt, m.digest,
       (select r.file from feed.import_ref r where r.type = 'media' and r.id = m.id and
        (:archive::text is null or r.archive = :archive) limit 1) as file
from feed.media m where m.post_id = any(:posts::bigint[]) order by m.post_id, m.place;

-- name: export_comments(ids)
-- Deleted ones too: what answered them still stands.
select id, post_id, parent, author_id, body, created_at, edited_at, deleted_at is not null as deleted
from feed.comment where :ids::bigint[] is null or id = any(:ids::bigint[]) order by id;

-- name: export_reactions(posts)
select post_id, account_id, kind from feed.reaction where post_id = any(:posts::bigint[]) order by post_id, created_at, account_id;

-- name: export_comment_reactions(comments)
select comment_id, account_id, kind from feed.comment_reaction
where comment_id = any(:comments::bigint[]) order by comment_id, created_at, account_id;

-- name: give_passwords(archive, handles, hashes)!
-- To members of an archive who have none.
update feed.account a set password_hash = t.hash, version = a.version + 1
from unnest(:handles::text[], :hashes::text[]) as t(handle, hash), feed.import_ref r
where a.handle = t.handle and a.password_hash is null
  and r.archive = :archive and r.type = 'member' and r.id = a.id;

-- name: archive_logins(archive)
-- Members of an archive who were given a password.
select a.handle from feed.account a join feed.import_ref r on r.type = 'member' and r.id = a.id
where r.archive = :archive and a.password_hash is not null order by a.handle;
