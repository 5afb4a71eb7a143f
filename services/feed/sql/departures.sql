-- name: leave(account_id, handle, display_name, now)!
-- An account without a person: what others answered stays below a name that nobody bears.
update feed.account set handle = :handle, display_name = :display_name, password_hash = null, deleted_at = :now,
    role = 'member', password_version = password_version + 1, version = version + 1
where id = :account_id;

-- name: drop_answers_of(account_id)!
-- First answers to requests hold words.
delete from feed.idempotency where account_id = :account_id;

-- name: drop_stories_of(account_id, now)!
-- What was never published goes at once, whatever becomes of the rest, and its covers with it.
with covers as (
    delete from feed.media m using feed.story s
    where s.author_id = :account_id and m.story_id = s.id returning m.digest
), removals as (
    insert into feed.photo_removal (digest, due_at) select distinct digest, :now::timestamptz from covers
)
delete from feed.story where author_id = :account_id and state <> 'published';

-- name: begin_departure(account_id, words, now)!
-- What is still to be done.
insert into feed.departure (account_id, words, asked_at, due_at) values (:account_id, :words, :now, :now);

-- name: take_departure(now, until)^
-- The departure that is due longest, ours until then: who dies with it is followed by another.
update feed.departure d set due_at = :until, attempts = d.attempts + 1
from (select account_id from feed.departure where due_at <= :now order by due_at limit 1 for update skip locked) next
where d.account_id = next.account_id
returning d.account_id, d.words, d.asked_at, d.post_after, d.comment_after, d.log_after, d.attempts;

-- name: advance_departure(account_id, post_after, comment_after, log_after, due_at)!
-- A page is done.
update feed.departure set post_after = :post_after, comment_after = :comment_after, log_after = :log_after::bigint[],
    due_at = :due_at, attempts = 0, error = null
where account_id = :account_id;

-- name: postpone_departure(account_id, due_at, error)!
-- A page failed.
update feed.departure set due_at = :due_at, error = :error where account_id = :account_id;

-- name: finish_departure(account_id)!
-- Nothing is left to be done.
delete from feed.departure where account_id = :account_id;

-- name: topics_joined(account_id, page)
select topic from feed.membership where account_id = :account_id order by topic limit :page::integer;

-- name: posts_reacted_to(account_id, page)
-- Where they left a reaction that is shown.
select r.post_id from feed.reaction r join feed.post p on p.id = r.post_id
where r.account_id = :account_id and p.deleted_at is null order by r.post_id limit :page::integer;

-- name: comments_reacted_to(account_id, page)
select r.comment_id from feed.comment_reaction r join feed.comment m on m.id = r.comment_id
join feed.post p on p.id = m.post_id
where r.account_id = :account_id and m.deleted_at is null and p.deleted_at is null
order by r.comment_id limit :page::integer;

-- name: comments_written(account_id, after, page)
-- Comments that are shown with words.
select m.id from feed.comment m join feed.post p on p.id = m.post_id
where m.author_id = :account_id and m.id > :after and m.deleted_at is null and p.deleted_at is null
order by m.id limit :page::integer;

-- name: posts_with_words(account_id, page)
-- Posts that are shown with words or photos.
select p.id from feed.post p
where p.author_id = :account_id and p.deleted_at is null
  and (p.body <> '' or exists (select from feed.media m where m.post_id = p.id))
order by p.id limit :page::integer;

-- name: posts_written(account_id, after, page)
select p.id from feed.post p
where p.author_id = :account_id and p.id > :after and p.deleted_at is null order by p.id limit :page::integer;

-- name: others_answered(post_id, account_id)$
-- Whether words of somebody else stand below a post.
select exists (select from feed.comment where post_id = :post_id and author_id <> :account_id and deleted_at is null);

-- name: empty_post(post_id, now)!
-- A post without its words, for the sake of the answers below it.
update feed.post set title = null, body = '', entities = '[]', content_warning = null, version = version + 1,
    edited_at = :now
where id = :post_id;

-- name: keep_topics_of(post_id)!
-- Where a post stood by the tags of its text, it stands without them, in the same order.
update feed.post_topic t set asked = o.place - 1, in_text = null
from (select topic, row_number() over (order by asked nulls last, in_text) as place
      from feed.post_topic where post_id = :post_id) o
where t.post_id = :post_id and t.topic = o.topic;

-- name: rename_on_post(post_id)^
-- One version on, so that pages that show the old name take the new one; no row when it is gone.
update feed.post set version = version + 1 where id = :post_id and deleted_at is null returning id;

-- name: rename_on_comment(comment_id)^
-- The same for a comment below a post that the caller holds.
update feed.comment set version = version + 1 where id = :comment_id and deleted_at is null returning post_id;

-- name: scrub_comments(account_id, now)!
-- Words below posts that were deleted: nobody is shown them, and nobody has to be told.
update feed.comment m set body = '', entities = '[]', deleted_at = :now, version = m.version + 1
from feed.post p
where m.author_id = :account_id and m.deleted_at is null and p.id = m.post_id and p.deleted_at is not null;

-- name: scrub_notes(account_id)!
-- What they said as a moderator of others' stories; that they sent them back, and when, stays.
update feed.story_step set note = null where actor_id = :account_id and note is not null;

-- name: drop_unattached_media(account_id, now)!
-- Photos that no post carries.
with gone as (
    delete from feed.media where owner_id = :account_id and post_id is null returning digest
)
insert into feed.photo_removal (digest, due_at) select distinct digest, :now::timestamptz from gone;

-- name: redact_log(log, after, entries, channel, unless)$
-- What they wrote leaves the log, where it stands among so many entries; how far that was, null at the end.
select eventlog.redact_on_channel(:log::smallint, :after::bigint, :entries::integer, :channel,
    array['post.created', 'post.edited', 'comment.created', 'comment.edited'], :unless::bytea);

-- name: logs()
-- Every log.
select log from eventlog.head order by log;
