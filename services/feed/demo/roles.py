"""Who does what in the demo community, and a story that waits for its moderator: what an archive can't bear."""

from services.feed.granting import change_role
from services.feed.queries import QUERIES
from services.feed.roles import Role
from services.feed.rows import now
from shared.ids import new_id
from shared.postgres import Connection

ROLES: dict[str, Role] = {
    "maureen_p": "admin",
    "noor": "moderator",
    "hanna_k": "author",
    "ilse_v": "author",
    "fitz": "author",
}
WAITS_BY = "hanna_k"
TITLE = "Brick number six"
BODY = """I said I would learn to bake, so here is where I am: **six loaves, six bricks**. I have kept the \
fifth. It holds the kitchen door.

## What Jules told me

- The dough should feel like an earlobe. *Whose*, I asked. He said his.
- Water is an ingredient and not an apology.
- You can't hurry Gerald. Nobody has ever hurried Gerald.

So on Thursday I did it slowly. I put the bowl on the boiler, where the cat used to sleep, and I went to bed, and for \
once I slept as well. In the morning it had risen over the edge and down the side and was looking at me.

> It is alive, I told Maureen on the phone. She said: so are you, love, put the oven on.

It came out grey and wide, like a hat that somebody sat on. But when I cut it there were holes in it. Real ones. I \
stood at the window with the first slice and the good butter, at half past six, and the bins were out, and it was an \
ordinary day.

Brick number six did not hold a door. I ate it. #BreadBaking
"""


async def settle(connection: Connection, members: dict[str, int]) -> None:
    """The demo's members, by handle, have their roles, recorded as a command's; one of their stories is in review."""
    for handle, role in ROLES.items():
        if handle in members:
            await change_role(connection, members[handle], "member", role, by=None, operator="chorus demo")
    if WAITS_BY not in members:
        return
    story_id, author = new_id(), members[WAITS_BY]
    await QUERIES.create_story(
        connection,
        id=story_id,
        author_id=author,
        title=TITLE,
        body=BODY.rstrip(),
        topics=["Bread-Baking"],
        content_warning=None,
        now=now(),
    )
    await QUERIES.move_story(connection, story_id=story_id, state="review", submitted_at=now(), now=now())
    await QUERIES.record_step(
        connection, story_id=story_id, post_id=None, actor_id=author, step="submitted", version=2, note=None, at=now()
    )
