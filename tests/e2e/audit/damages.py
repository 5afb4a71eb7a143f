"""Every kind of damage to what is stored, made by hand: what has to be found wrong, and what has to be said of it."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from tests.e2e.audit.community import STREAM, Copy, Entries, restore

Damage: TypeAlias = Callable[[Copy], Awaitable[object]]


def sql(*statements: str) -> Damage:
    async def damage(copy: Copy) -> None:
        for statement in statements:
            done = await copy.sql.execute(statement)
            assert not done.endswith(" 0"), f"changed nothing: {statement}"

    return damage


def on_stream(change: Callable[[Entries], Entries]) -> Damage:
    async def damage(copy: Copy) -> None:
        entries: Any = copy.redis.xrange(STREAM)
        restore(copy.redis, change(entries))

    return damage


def on_photos(change: Callable[[Path], object]) -> Damage:
    async def damage(copy: Copy) -> None:
        change(copy.media)

    return damage


def _other_bytes(entries: Entries) -> Entries:
    place, fields = entries[7]
    return [*entries[:7], (place, {**fields, b"p": b"{}"}), *entries[8:]]


def _one_more(entries: Entries) -> Entries:
    epoch, seq = entries[-1][0].split(b"-")
    return [*entries, (b"%s-%d" % (epoch, int(seq) + 1), entries[-1][1])]


def _other_epoch(entries: Entries) -> Entries:
    return [(b"%d-%s" % (int(place.split(b"-")[0]) + 1, place.split(b"-")[1]), fields) for place, fields in entries]


def first_file(media: Path, under: str) -> Path:
    return sorted(each for each in (media / under).rglob("*") if each.is_file())[0]


def _stray(media: Path) -> None:
    shutil.copytree(first_file(media, "served").parent, media / "served" / "00" / ("00" * 32))


NUMBER = (
    "begin isolation level repeatable read",
    "select eventlog.number(0::smallint, (select epoch from eventlog.head), 1)",
    "commit",
)
OLDER = (
    "insert into eventlog.event (log, type, channels, payload) select log, type, channels, payload from eventlog.event"
)
ANY_POST = "(select min(id) from feed.post where deleted_at is null)"
DAMAGES: list[tuple[str, Damage, set[str], str]] = [
    (
        "an event lost its number",
        sql("delete from eventlog.entry where seq = 9"),
        {"events numbered", "positions dense", "streams of Redis"},
        "9 to 9 are missing",
    ),
    (
        "the newest events lost their numbers",
        sql("delete from eventlog.entry where seq >= (select seq - 1 from eventlog.head)"),
        {"events numbered", "positions dense", "streams of Redis"},
        "are missing",
    ),
    (
        "a number lost its event",
        sql("delete from eventlog.event e using eventlog.entry x where x.seq = 9 and x.event_id = e.id"),
        {"events numbered", "streams of Redis"},
        "position 9 of log 0 has no event",
    ),
    (
        "a position is there twice",
        sql(
            "insert into eventlog.entry select log, epoch, seq, event_id, xid, at + interval '1 day' "
            "from eventlog.entry where seq = 9"
        ),
        {"events numbered", "positions dense"},
        "9 is there twice",
    ),
    (
        "an event has two numbers",
        sql(
            "insert into eventlog.entry select log, epoch, (select seq + 1 from eventlog.head), event_id, xid, at "
            "from eventlog.entry where seq = 9"
        ),
        {"numbered twice", "positions dense"},
        "first at 9",
    ),
    (
        "an epoch goes back",
        sql("update eventlog.entry set epoch = epoch - 1 where seq = 9"),
        {"positions dense"},
        "9 is of epoch",
    ),
    (
        "an older version comes later",
        sql(f"{OLDER} where type = 'post.created' order by id limit 1", *NUMBER),
        {"versions in order"},
        "has version 1",
    ),
    (
        "older counts come later",
        sql(f"{OLDER} where type = 'counts.changed' order by id limit 1", *NUMBER),
        {"versions in order"},
        "counts of post",
    ),
    ("the stream has other bytes", on_stream(_other_bytes), {"streams of Redis"}, "has other bytes in the stream"),
    ("the stream has a hole", on_stream(lambda e: e[:7] + e[8:]), {"streams of Redis"}, "is missing in the stream"),
    ("the stream goes on", on_stream(_one_more), {"streams of Redis"}, "was never numbered"),
    ("the stream is of another epoch", on_stream(_other_epoch), {"streams of Redis"}, "is in the stream under epoch"),
    (
        "a consumer is past the head",
        sql("update eventlog.consumer set seq = seq + 1000"),
        {"consumers"},
        "notifier is at",
    ),
    ("the notifier is past the head", sql("update notify.cursor set seq = seq + 1000"), {"notifier's place"}, "at 10"),
    (
        "an event is of a day that nobody made",
        sql(
            "insert into eventlog.event (log, type, channels, payload, at) "
            "values (0, 'x', '{}', '{}', now() + interval '9 days')"
        ),
        {"default partition"},
        "not empty",
    ),
    (
        "a post counts a comment too many",
        sql(
            "update feed.post_count set comments = comments + 1 "
            "where post_id = (select min(post_id) from feed.post_count where comments = 0)"
        ),
        {"counts of posts"},
        "comments 1, rows say 0",
    ),
    (
        "a post counts other reactions",
        sql(f"update feed.post_count set reactions = '{{\"hug\": 40}}' where post_id = {ANY_POST}"),
        {"counts of posts"},
        "reactions {'hug': 40}, rows say ",
    ),
    (
        "a post has no counts",
        sql(f"delete from feed.post_count where post_id = {ANY_POST}"),
        {"counts of posts"},
        "has no counts",
    ),
    (
        "a comment counts an answer too few",
        sql("update feed.comment_count set replies = replies - 1 where replies > 0"),
        {"counts of comments"},
        "replies 0, rows say 1",
    ),
    (
        "a comment counts a reaction too many",
        sql("update feed.comment_count set reaction_total = reaction_total + 1 where reaction_total = 0"),
        {"counts of comments"},
        "reaction_total 1, rows say 0",
    ),
    (
        "a topic counts people who left",
        sql("update feed.topic_count set people = people + 3 where slug = 'borrowing'"),
        {"counts of topics"},
        "topic borrowing: people 4, rows say 1",
    ),
    (
        "a post left a topic of its text",
        sql("delete from feed.post_topic where topic = 'ladders' and asked is null"),
        {"topics of posts", "counts of topics"},
        "its text names ladders besides",
    ),
    (
        "a post stands in a topic that it does not name",
        sql(f"insert into feed.post_topic values ('ladders', {ANY_POST}, 'post', null, 7)"),
        {"topics of posts", "counts of topics"},
        "its text does not name ladders",
    ),
    (
        "a deleted post stands somewhere",
        sql(
            "insert into feed.post_topic select 'ladders', id, kind, 0, null from feed.post "
            "where deleted_at is not null"
        ),
        {"topics of posts", "counts of topics"},
        "deleted, and stands in ladders",
    ),
    (
        "topics asked for lost their places",
        sql("update feed.post_topic set asked = asked + 1 where topic = 'sheds'"),
        {"topics of posts"},
        "those asked for have the places [1]",
    ),
    (
        "a photo lost a file",
        on_photos(lambda media: first_file(media, "served").unlink()),
        {"files of photos"},
        "photo ",
    ),
    (
        "an imported photo lost its original",
        on_photos(lambda media: first_file(media, "original").unlink()),
        {"files of photos"},
        "original/",
    ),
    ("a file is nobody's", on_photos(_stray), {"photos of files"}, "served/00/"),
    ("all photos are elsewhere", on_photos(shutil.rmtree), {"files of photos"}, "there is no folder of photos"),
    (
        "somebody took a role",
        sql("update feed.account set role = 'admin' where handle like 'sam%'"),
        {"roles"},
        "is admin, on record member",
    ),
    (
        "a record was taken away",
        sql(
            "alter table feed.role_grant disable trigger role_grant_is_append_only",
            "delete from feed.role_grant where role = 'moderator'",
        ),
        {"roles"},
        "is moderator, on record member",
    ),
    (
        "records do not follow each other",
        sql(
            "insert into feed.role_grant (account_id, role, before, origin, operator, at) "
            "select account_id, role, 'author', 'command', 'somebody', now() from feed.role_grant where role = 'admin'"
        ),
        {"roles"},
        "goes from author, after admin",
    ),
    (
        "an inbox counts a line too many",
        sql("update notify.inbox set unread = unread + 1"),
        {"unread"},
        "rows say",
    ),
    (
        "an inbox forgot what it gave out",
        sql("update notify.inbox set last_id = 1"),
        {"unread"},
        "it remembers to have given out 1",
    ),
    (
        "somebody was told twice",
        sql(
            "alter table notify.notification drop constraint notification_account_id_cause_key",
            "insert into notify.notification select account_id, id - 1, kind, actor_id, post_id, comment_id, cause, "
            "created_at from notify.notification where kind = 'comment'",
        ),
        {"told once", "unread"},
        "2 lines of comment:",
    ),
    (
        "a reaction went and its line stayed",
        sql(
            "delete from feed.reaction r using notify.notification n "
            "where n.post_id = r.post_id and n.kind = 'reaction'"
        ),
        {"causes stand", "counts of posts"},
        "(reaction, post ",
    ),
    (
        "a mention went and its line stayed",
        sql("update feed.post set entities = '[]' where body like 'Found the ladder%'"),
        {"causes stand"},
        "(mention, post ",
    ),
]
