-- What was imported under which name. Makes repeating an import safe, and an export equal to its import.

create table feed.import_ref (
    archive  text not null,
    type     text not null,        -- topic, member, membership, post, comment, reaction; media for a post's photo
    ref      text not null,        -- the name within the archive; parts of a composed one joined by tabs
    id       bigint,               -- the row's; null for topics, memberships and reactions, which ref names
    place    integer not null,     -- the line, so that an export keeps the order
    digest   bytea not null,       -- of the record; for photos of the file
    file     text,                 -- photos: the path beside the archive
    primary key (archive, type, ref)
);
-- Which photos' originals are kept, whoever exports them.
create index import_ref_media on feed.import_ref (id) where type = 'media';

grant select, insert, update, delete on feed.import_ref to chorus_feed;
