-- name: create_media(id, owner_id, alt, type, width, height, digest, created_at, hold)^
-- A photo that no post carries yet, in place of the hold on its bytes; no row when that ran out.
with held as (delete from feed.photo_removal where id = :hold returning id)
insert into feed.media (id, owner_id, alt, type, width, height, digest, created_at)
select :id, :owner_id, :alt, :type, :width::integer, :height::integer, :digest, :created_at::timestamptz from held
returning id;

-- name: media_file(media_id)^
-- What is served for a photo; of the cover of a story that is no post yet, whose it is and how far it has come.
select m.type, m.digest, s.author_id as story_author, s.state as story_state
from feed.media m left join feed.story s on s.id = m.story_id where m.id = :media_id;

-- name: lock_media(ids)
-- Photos that a post is about to carry, held so that two posts can't take the same one.
select id, owner_id, post_id, story_id, alt, width, height from feed.media where id = any(:ids::bigint[]) order by id for update;

-- name: media_of_post(post_id)
-- A post's photos in their order.
select id from feed.media where post_id = :post_id order by place;

-- name: attach_media(post_id, ids)!
-- In the order given.
update feed.media m set post_id = :post_id, place = t.place - 1
from unnest(:ids::bigint[]) with ordinality as t(id, place) where m.id = t.id;

-- name: remove_media(post_id, kept, now)!
-- A post's photos go, but for those kept: nothing serves them any more, and their bytes are to follow.
with gone as (
    delete from feed.media where post_id = :post_id and not id = any(:kept::bigint[]) returning digest
)
insert into feed.photo_removal (digest, due_at) select distinct digest, :now::timestamptz from gone;

-- name: remove_unattached_media(before, now)!
-- Uploads that no post took up.
with gone as (
    delete from feed.media where post_id is null and story_id is null and created_at < :before returning digest
)
insert into feed.photo_removal (digest, due_at) select distinct digest, :now::timestamptz from gone;

-- name: hold_photos(digests, until)
-- Bytes that are about to be kept are nobody's to remove until then; a removal under way is waited for.
with alone as materialized (
    select digest, pg_advisory_xact_lock(4705, hashtext(digest))
    from (select digest from unnest(:digests::text[]) as digest order by digest) sorted
)
insert into feed.photo_removal (digest, due_at) select digest, :until::timestamptz from alone returning id;

-- name: take_photo_removal(now)^
-- The oldest removal that is due and that nobody works on.
select id, digest, attempts from feed.photo_removal
where due_at <= :now order by due_at, id limit 1 for update skip locked;

-- name: lock_photo(digest)^
-- Nobody holds or removes these bytes beside us, to the end of the transaction.
select pg_advisory_xact_lock(4705, hashtext(:digest));

-- name: photo_is_needed(digest, now)$
-- Whether a photo has these bytes, or a later removal will look at them.
select exists (select from feed.media where digest = :digest)
    or exists (select from feed.photo_removal where digest = :digest and due_at > :now);

-- name: release_photos(ids, now)!
-- Holds are over: whether these bytes are needed can be looked at.
update feed.photo_removal set due_at = :now where id = any(:ids::bigint[]);

-- name: drop_photo_removal(id)!
-- Done, or not wanted after all.
delete from feed.photo_removal where id = :id;

-- name: postpone_photo_removal(id, due_at, error)!
-- Storage refused.
update feed.photo_removal set attempts = attempts + 1, due_at = :due_at, error = :error where id = :id;
