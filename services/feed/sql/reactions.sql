-- name: reaction_to_post(post_id, account_id)$
-- A member's reaction to a post; null for none.
select kind from feed.reaction where post_id = :post_id and account_id = :account_id;

-- name: set_reaction_to_post(post_id, account_id, kind, now)!
-- One reaction per member and post.
insert into feed.reaction (post_id, account_id, kind, created_at) values (:post_id, :account_id, :kind, :now)
on conflict (post_id, account_id) do update set kind = excluded.kind, created_at = excluded.created_at;

-- name: withdraw_reaction_to_post(post_id, account_id)!
-- None.
delete from feed.reaction where post_id = :post_id and account_id = :account_id;

-- name: reaction_to_comment(comment_id, account_id)$
-- A member's reaction to a comment; null for none.
select kind from feed.comment_reaction where comment_id = :comment_id and account_id = :account_id;

-- name: set_reaction_to_comment(comment_id, account_id, kind, now)!
-- One reaction per member and comment.
insert into feed.comment_reaction (comment_id, account_id, kind, created_at)
values (:comment_id, :account_id, :kind, :now)
on conflict (comment_id, account_id) do update set kind = excluded.kind, created_at = excluded.created_at;

-- name: withdraw_reaction_to_comment(comment_id, account_id)!
-- None.
delete from feed.comment_reaction where comment_id = :comment_id and account_id = :account_id;
