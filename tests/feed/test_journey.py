"""The thinnest journey: sign up, post, read the topic's page, with every event in the outbox."""

from tests.feed.community import Community, made


async def test_a_post_stands_on_its_topics_page_and_its_events_in_the_outbox(community: Community) -> None:
    ada = await community.member("ada")
    post = await ada.post("Resting today. #Self-Compassion", title="A quiet day")
    assert post["topics"] == ["selfcompassion"]
    assert post["author"] == {"id": ada.id, "handle": "ada", "display_name": "Ada"}
    assert post["entities"] == [{"type": "tag", "start": 15, "end": 31, "slug": "selfcompassion"}]
    assert post["counts"] == {"reactions": {}, "reaction_total": 0, "comments": 0, "version": 0}
    assert post["mine"] == {"reaction": None}

    page = made(await community.get("/v1/topics/Self_compassion/posts"))
    assert page["items"] == [{**post, "mine": None}]
    assert page["next"] is None
    assert page["as_of"]["seq"] == [0]

    header = made(await community.get("/v1/topics/self-compassion"))
    assert (header["slug"], header["name"], header["tag"]) == ("selfcompassion", "Self-Compassion", "Self-Compassion")
    assert (header["people"], header["stories"], header["posts"], header["joined"]) == (0, 0, 1, False)

    events = {event["type"]: event for event in await community.events()}
    assert set(events) == {"post.created", "topic.changed"}
    expected = {name: value for name, value in post.items() if name != "mine"}
    assert events["post.created"]["post"] == expected
    assert events["post.created"]["channels"] == [f"post:{post['id']}", "topic:selfcompassion", f"member:{ada.id}"]
    told = {name: value for name, value in header.items() if name not in ("as_of", "joined")}
    assert events["topic.changed"]["topic"] == told
    assert events["topic.changed"]["channels"] == ["topic:selfcompassion"]
