-- name: create_media(id, owner_id, alt, type, width, height, digest, created_at)!
-- A photo that no post carries yet.
insert into feed.media (id, owner_id, alt, type, width, height, digest, created_at)
values (:id, :owner_id, :alt, :type, :width, :height, :digest, :created_at);

-- name: media_file(media_id)^
-- What is served for a photo.
select type, digest from feed.media where id = :media_id;

-- name: lock_media(ids)
-- Photos that a post is about to carry, held so that two posts can't take the same one.
select id, owner_id, post_id, alt, width, height from feed.media where id = any(:ids::bigint[]) order by id for update;

-- name: media_of_post(post_id)
-- A post's photos in their order.
select id from feed.media where post_id = :post_id order by place;

-- name: attach_media(post_id, ids)!
-- In the order given.
update feed.media m set post_id = :post_id, place = t.place - 1
from unnest(:ids::bigint[]) with ordinality as t(id, place) where m.id = t.id;

-- name: remove_media(post_id, kept)!
-- A post's photos go, but for those kept: nothing serves them any more.
delete from feed.media where post_id = :post_id and not id = any(:kept::bigint[]);
