"""The page's own modules in a real browser, without a server: files come from the folder.

Here stand the rules that no journey shows surely: facts that come twice, late or out of order; numbers and drafts.
"""

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from services.feed.api.pages import WEB
from tests.browser.modules import ORIGIN, run

Json = dict[str, Any]


def post(number: int, *, version: int = 1, counts: int = 0, total: int = 0, body: str = "", **more: Any) -> Json:
    return {
        "id": str(number),
        "kind": "post",
        "author": {"id": "7", "handle": "bo", "display_name": "Bo"},
        "title": None,
        "body": body or f"version {version}",
        "entities": [],
        "topics": ["sleep"],
        "media": [],
        "content_warning": None,
        "counts": {"reactions": {}, "reaction_total": total, "comments": 0, "version": counts},
        "version": version,
        "created_at": "2026-01-02T03:04:05Z",
        "edited_at": None,
        **more,
    }


def folded(page: Page, steps: str, **given: Any) -> Any:
    """What `steps` (JavaScript with F: fold.js, state: one feed of post 10, at: a place in the log) gives."""
    script = f"""async (given) => {{
      const F = await import("{ORIGIN}/app/fold.js");
      const at = (seq) => ({{ log: 0, seq }});
      let state = F.keepFeed(F.EMPTY, "sleep||", {{ slug: "sleep" }},
        {{ items: [{{ ...given.first, mine: {{ reaction: null }} }}], next: null }}, {{ epoch: 7, seq: [50] }});
      {steps}
    }}"""
    return run(page, script, {"first": post(10), **given})


def test_one_s_own_post_that_an_edit_moves_leaves_and_enters_at_its_place(page: Page) -> None:
    steps = """
      state = F.fold(state, { type: "post.created", post: given.later }, at(60), "7");
      state = F.fold(state, { type: "post.edited", post: given.away }, at(61), "7");
      const without = state.feeds["sleep||"].ids;
      state = F.fold(state, { type: "post.edited", post: given.back }, at(62), "7");
      return [without, state.feeds["sleep||"].ids, state.feeds["sleep||"].waiting];
    """
    away, back = post(10, version=2, topics=["tea"]), post(10, version=3)
    assert folded(page, steps, later=post(12), away=away, back=back) == [["12"], ["12", "10"], []]


def test_versions_guard_words_and_counts_apart(page: Page) -> None:
    steps = """
      for (const event of given.events) state = F.fold(state, event, at(60), null);
      return [state.posts[10].body, state.posts[10].counts.reaction_total];
    """
    edited = {"type": "post.edited", "post": post(10, version=2, counts=0)}
    counted = {
        "type": "counts.changed",
        "post_id": "10",
        "counts": post(10, counts=5, total=4)["counts"],
    }
    older = {"type": "counts.changed", "post_id": "10", "counts": post(10, counts=3, total=9)["counts"]}
    stale = {"type": "post.edited", "post": post(10, version=1, counts=1, total=1)}
    for order in ([edited, counted, older, stale], [counted, stale, edited, older], [older, counted, edited, edited]):
        assert folded(page, steps, events=order) == ["version 2", 4]


def test_a_deleted_post_never_comes_back(page: Page) -> None:
    steps = """
      state = F.fold(state, { type: "post.deleted", post_id: "10", version: 2 }, at(60), null);
      state = F.sweepPost(state, "10");
      state = F.fold(state, { type: "post.edited", post: given.first }, at(61), null);
      state = F.keepFeed(state, "sleep||", { slug: "sleep" }, { items: [given.first], next: null },
        { epoch: 7, seq: [55] });
      return [state.feeds["sleep||"].ids, state.feeds["sleep||"].waiting];
    """
    assert folded(page, steps) == [[], []]


def test_others_posts_wait_and_ones_own_are_shown_at_once(page: Page) -> None:
    steps = """
      state = F.fold(state, { type: "post.created", post: given.theirs }, at(60), "8");
      state = F.fold(state, { type: "post.created", post: given.theirs }, at(60), "8");
      state = F.fold(state, { type: "post.created", post: given.own }, at(61), "8");
      const { ids, waiting } = state.feeds["sleep||"];
      return [ids, waiting, F.showWaiting(state, "sleep||").feeds["sleep||"].ids];
    """
    own = post(12, author={"id": "8", "handle": "ada", "display_name": "Ada"})
    assert folded(page, steps, theirs=post(11), own=own) == [["12", "10"], ["11"], ["12", "11", "10"]]


def test_an_edit_that_moves_a_post_takes_it_out_of_the_feed(page: Page) -> None:
    steps = """
      state = F.fold(state, { type: "post.edited", post: given.moved }, at(60), null);
      return state.feeds["sleep||"].ids;
    """
    assert folded(page, steps, moved=post(10, version=2, topics=["tea"])) == []


def test_a_late_read_does_not_undo_a_newer_reaction_of_mine(page: Page) -> None:
    steps = """
      state = F.fold(state, { type: "mine.changed", post_id: "10", comment_id: null, reaction: "hug" }, at(60), "8");
      state = F.keepPosts(state, [{ ...given.first, mine: { reaction: null } }], { epoch: 7, seq: [55] });
      const late = state.posts[10].mine.reaction;
      state = F.keepPosts(state, [{ ...given.first, mine: { reaction: "joy" } }], { epoch: 7, seq: [70] });
      state = F.fold(state, { type: "mine.changed", post_id: "10", comment_id: null, reaction: "hug" }, at(60), "8");
      return [late, state.posts[10].mine.reaction];
    """
    assert folded(page, steps) == ["hug", "joy"]


def test_a_wish_counts_until_the_counts_have_moved(page: Page) -> None:
    steps = """
      state = F.wish(state, "10", "hug");
      const before = F.seen(state.posts[10], state.wishes[10]);
      state = F.fold(state, { type: "counts.changed", post_id: "10", counts: given.counts }, at(60), "8");
      const after = F.seen(state.posts[10], state.wishes[10]);
      return [before.reaction_total, before.mine, after.reaction_total, after.mine];
    """
    assert folded(page, steps, counts=post(10, counts=1, total=1)["counts"]) == [1, "hug", 1, "hug"]


def test_numbers_round_down_and_lines_leave_out_zeros(page: Page) -> None:
    script = f"""async () => {{
      const T = await import("{ORIGIN}/app/text.js");
      return [
        [0, 7, 999, 1000, 1834, 1899, 9999, 12000, 12431, 301222, 999999, 1000000, 2590000].map(T.abbreviate),
        [T.countLine({{ reaction_total: 1, comments: 0 }}), T.countLine({{ reaction_total: 0, comments: 0 }}),
         T.countLine({{ reaction_total: 27, comments: 6 }})],
        T.pieces("a 😮‍💨 #Tag", [{{ type: "tag", slug: "tag", start: 6, end: 10 }}]).map((each) => each.text),
      ];
    }}"""
    numbers, lines, pieces = run(page, script)
    told = "0 7 999 1K 1.8K 1.8K 9.9K 12K 12.4K 301K 999K 1M 2.5M"
    assert numbers == told.split()
    assert lines == [["1 reaction"], [], ["27 reactions", "6 comments"]]
    assert pieces == ["a 😮‍💨 ", "#Tag"]


def test_drafts_keep_words_and_their_key_until_the_words_change(page: Page) -> None:
    script = f"""async () => {{
      const D = await import("{ORIGIN}/app/drafts.js");
      const first = D.keyFor(undefined, {{ body: "a" }});
      D.keep("topic:sleep", {{ body: "a", sent: first }});
      const again = D.keyFor(D.load("topic:sleep").sent, {{ body: "a" }});
      const other = D.keyFor(again, {{ body: "b" }});
      D.forget("topic:sleep");
      return [again.key === first.key, other.key === first.key, D.load("topic:sleep")];
    }}"""
    assert run(page, script) == [True, False, {}]


def test_index_names_every_module_and_style_but_those_that_come_later(page: Page) -> None:
    shell = (WEB / "index.html").read_text()
    for path in sorted(WEB.rglob("*.js")) + sorted(WEB.rglob("*.css")):
        name = path.relative_to(WEB).as_posix()
        assert (f"/web/@/{name}" in shell) == ("later" not in name), name
    expect(page).to_have_title("empty")


def test_styles_name_colours_in_the_tokens_alone() -> None:
    literal = re.compile(r"#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(", re.IGNORECASE)
    for path in sorted(Path(WEB / "styles").rglob("*.css")):
        if path.name != "tokens.css":
            assert not literal.findall(path.read_text()), path.name
