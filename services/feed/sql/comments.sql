-- name: read_comment(comment_id, viewer)^
-- One comment, the viewer's reaction, and the positions of the same snapshot; no row when its post is gone.
select w.*, (select r.kind from feed.comment_reaction r
             where r.comment_id = w.id and r.account_id = :viewer::bigint) as mine,
       eventlog.head_cursor() as as_of
from feed.comment_wire w join feed.post p on p.id = w.post_id
where w.id = :comment_id and p.deleted_at is null;

-- name: list_comments(post_id, viewer, after, page)
-- A post's comments, oldest first; always at least one row: the positions, and whether the post stands.
with head as materialized (select eventlog.head_cursor() as as_of),
page as materialized (
    select m.id from feed.comment m where m.post_id = :post_id and m.id > :after order by m.id limit :page::integer
)
select head.as_of, exists (select from feed.post p where p.id = :post_id and p.deleted_at is null) as post_stands,
       w.*, r.kind as mine
from head left join (page join feed.comment_wire w on w.id = page.id) on true
left join feed.comment_reaction r on r.comment_id = w.id and r.account_id = :viewer::bigint
order by w.id;

-- name: post_of_comment(comment_id)$
-- Where a comment stands; null when there is none.
select post_id from feed.comment where id = :comment_id;

-- name: create_comment(id, post_id, parent, author_id, body, entities, created_at)!
-- A comment's words.
insert into feed.comment (id, post_id, parent, author_id, body, entities, created_at)
values (:id, :post_id, :parent, :author_id, :body, :entities::jsonb, :created_at);

-- name: create_comment_counts(comment_id)!
-- A comment's counts: nothing yet.
insert into feed.comment_count (comment_id) values (:comment_id);

-- name: lock_comment(comment_id)^
-- Holds a comment for a change of its own; no row when it is gone.
select id, post_id, parent, author_id, body, version from feed.comment
where id = :comment_id and deleted_at is null for update;

-- name: hold_comment(comment_id)^
-- Keeps a comment from being edited or deleted beside us, and holds its counts; no row when it is gone.
select m.author_id, m.post_id, c.reactions, c.reaction_total, c.replies, c.version
from feed.comment m join feed.comment_count c on c.comment_id = m.id
where m.id = :comment_id and m.deleted_at is null for share of m for update of c;

-- name: hold_comment_counts(comment_id)^
-- Holds a comment's counts, whether or not the comment still stands.
select m.author_id, m.post_id, c.reactions, c.reaction_total, c.replies, c.version
from feed.comment m join feed.comment_count c on c.comment_id = m.id
where m.id = :comment_id for update of c;

-- name: update_comment(comment_id, body, entities, now)!
-- An edit: one version on.
update feed.comment set body = :body, entities = :entities::jsonb, version = version + 1, edited_at = :now
where id = :comment_id;

-- name: delete_comment(comment_id, now)^
-- The words go, the place in the thread stays.
update feed.comment set body = '', entities = '[]', deleted_at = :now, version = version + 1
where id = :comment_id returning version;

-- name: set_comment_counts(comment_id, reactions, reaction_total, replies)^
-- New counts, absolute, one version on.
update feed.comment_count set reactions = :reactions::jsonb, reaction_total = :reaction_total, replies = :replies,
    version = version + 1
where comment_id = :comment_id returning version;
