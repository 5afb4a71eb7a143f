"""Tags, mentions and links as DESIGN.md section 5 writes them, and what text is let in."""

import itertools
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.feed import text
from services.feed.text import Link, Mention, Tag, entities
from shared.slugs import fold


def tags(body: str) -> list[str]:
    return [found.tag for found in entities(body) if isinstance(found, Tag)]


def links(body: str) -> list[str]:
    return [found.url for found in entities(body) if isinstance(found, Link)]


def mentions(body: str) -> list[str]:
    return [found.handle for found in entities(body) if isinstance(found, Mention)]


@pytest.mark.parametrize(
    ("spelling", "slug"),
    [
        ("Bread-Baking", "breadbaking"),
        ("bread_baking", "breadbaking"),
        ("BREADBAKING", "breadbaking"),
        ("ｂｒｅａｄ", "bread"),
        ("Straße", "strasse"),
        ("cafe\u0301", "café"),
        ("e-\u0301", "é"),
        ("ﬁsh", "fish"),
        ("コーヒー", "コーヒー"),
    ],
)
def test_every_spelling_of_a_tag_folds_to_one_slug(spelling: str, slug: str) -> None:
    assert fold(spelling) == slug


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(spelling: str) -> None:
    assert fold(fold(spelling)) == fold(spelling)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("#one", ["one"]),
        ("well.#two", ["two"]),
        ("(#three) \"#four\" '#five' —#six …#seven", ["three", "four", "five", "six", "seven"]),
        ("#Self-Made #self_made #SelfMade", ["Self-Made", "self_made", "SelfMade"]),
        ("#2024 #20_24 #_ #-", []),
        ("#2024goals #_draft", ["2024goals", "_draft"]),
        ("#-no #end- #a-b-c #a--b", ["end", "a-b-c", "a"]),
        ("word#no 7#no #no#no ##no #a/#no", ["no", "a"]),
        ("e\u0301#no ٣#no", []),
        ("❤️#yes 👩\u200d🚀#yes", ["yes", "yes"]),
        ("#️⃣Hello #\ufe0fHello", []),
        ("漢字#東京 コーヒー#珈琲 ภาษาไทยดี#ไทย မြန်မာ#yes ខ្មែរ#yes", ["東京", "珈琲", "ไทย", "yes", "yes"]),
        ("한국어#no עברית#no", []),
        ("#हिन्दी #naïve #nai\u0308ve", ["हिन्दी", "naïve", "nai\u0308ve"]),
        ("#a.#b,#c", ["a", "b", "c"]),
        ("#first\n#second", ["first", "second"]),
        ("# no, #! no", []),
        ("＃no", []),
        ("#tag's", ["tag"]),
        ("&#39;", []),
    ],
)
def test_a_tag_is_where_the_design_says(body: str, found: list[str]) -> None:
    assert tags(body) == found


def test_a_tag_is_never_inside_a_link() -> None:
    body = "https://example.org/a#b https://example.org/?q=.#c http://example.org/(#d) example.org/#e"
    assert tags(body) == []


def test_a_tag_may_follow_the_bracket_that_closes_round_a_link() -> None:
    assert tags("(https://example.org/a).#after") == ["after"]


def test_sixty_tags_are_sixty_tags() -> None:
    body = " ".join(f"#tag{number}" for number in range(60))
    assert tags(body) == [f"tag{number}" for number in range(60)]


def test_a_tag_longer_than_the_bound_is_plain_text() -> None:
    longest = "a" * text.MAX_TAG
    assert tags(f"#{longest} #{longest}a #b") == [longest, "b"]
    assert tags("#" + "ﷺ" * 60) == []  # each folds to eighteen letters


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("see https://example.org.", ["https://example.org"]),
        ("(https://example.org/a_(b))", ["https://example.org/a_(b)"]),
        ("HTTPS://Example.org/A?b=c&d#e!", ["HTTPS://Example.org/A?b=c&d#e"]),
        ("“https://example.org/x”, <https://example.org/y>", ["https://example.org/x", "https://example.org/y"]),
        ("見てhttps://example.org/珈琲。次", ["https://example.org/珈琲"]),
        ("http://[::1]:8000/x]", ["http://[::1]:8000/x"]),
        ("https:// http://. ftp://example.org javascript://x", []),
        ("xhttps://example.org", []),
        ("https://example.org/a,b;c", ["https://example.org/a,b;c"]),
    ],
)
def test_a_link_ends_before_what_belongs_to_the_sentence(body: str, found: list[str]) -> None:
    assert links(body) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("@alice, (@bob_2) .@carl", ["alice", "bob_2", "carl"]),
        ("@Alice", ["alice"]),
        ("mail me: a@alice b.c@alice.org", []),
        ("@alice@example.org @@alice /@alice", []),
        ("@al @" + "a" * 31, []),
        ("@josé @alicé", []),
        ("謝謝@alice", ["alice"]),
        ("https://example.org/@alice", []),
    ],
)
def test_a_mention_is_a_whole_handle(body: str, found: list[str]) -> None:
    assert mentions(body) == found


_PIECES = st.sampled_from(
    [
        *("#", "@", "-", "_", "/", ".", "(", ")", " ", "\n", "a", "Zoë", "e\u0301", "字", "ー", "ที่", "7", "٣"),
        *("❤️", "🇹🇼", "👩\u200d🚀", "https://", "http://x.y", "#tag", "@member1", "\ufe0f", "ﷺ", "“"),
    ]
)


@given(st.lists(_PIECES | st.characters(exclude_categories=["Cs"]), max_size=60).map("".join))
def test_entities_lie_in_order_and_say_what_the_body_says(body: str) -> None:
    found = entities(body)
    for entity in found:
        written = body[entity.start : entity.end]
        match entity:
            case Tag(slug=slug, tag=tag):
                assert written == "#" + tag
                assert slug == fold(tag)
                assert "\n" not in slug
                assert text.path_slug(slug) == slug
            case Mention(handle=handle):
                assert written.lower() == "@" + handle
                assert text.check_handle(handle) == []
            case Link(url=url):
                assert written == url
    assert all(one.end <= two.start for one, two in itertools.pairwise(found))


@given(st.lists(_PIECES, max_size=40).map("".join))
def test_offsets_count_code_points_whatever_stands_before(body: str) -> None:
    before = "👩\u200d👩\u200d👧 \U0001f1f9\U0001f1fc "
    spaces = " " * len(before)
    assert [(e.start, e.end) for e in entities(before + body)] == [(e.start, e.end) for e in entities(spaces + body)]


class CountingBody(str):
    """A body that counts the characters asked of it one at a time."""

    reads = 0

    def __getitem__(self, key: Any) -> str:
        if isinstance(key, int):
            self.reads += 1
        return str.__getitem__(self, key)


@pytest.mark.parametrize(
    "bad",
    ["https://a(", "https://a)", "https://a......", "http://a#", "https://", "#a-", "#\u0301", "@a", "é\u0301#"],
)
def test_the_worst_bodies_are_read_a_bounded_number_of_times_per_character(bad: str) -> None:
    body = CountingBody(bad * (20_000 // len(bad)))
    entities(body)
    assert body.reads <= 8 * len(body)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "e" + "\u0301" * n + "#a",
        lambda n: "\u0301" * n + "#" * n,
        lambda n: "#" + "a-" * n,
        lambda n: "#" + "a" * n + "é",
        lambda n: "@" + "a" * n + "é",
        lambda n: "@a" * n,
        lambda n: "https://a)" * n,
        lambda n: "https://a" + "." * n,
        lambda n: "7\u0301" * n + "#",
        lambda n: "字\u0301" * n + "#a@",
    ],
)
def test_no_pattern_backtracks_over_a_long_body(make: Callable[[int], str]) -> None:
    # regex can be told to give up; a quadratic pattern over 100,000 characters would need minutes, a linear one
    # takes a few hundredths of a second. The bound leaves a factor of a hundred for a busy machine.
    token = text._TOKEN
    body, at, searches = make(50_000), 0, 0
    while match := token.search(body, at, timeout=10):
        at, searches = match.end(), searches + 1
    assert searches <= len(body)


@pytest.mark.parametrize(
    ("value", "codes"),
    [
        ("plain", []),
        ("tabs\tand\nlines\r\nand more", []),
        ("👩\u200d👩\u200d👧\u200d👦 ❤️ 🇹🇼 1️⃣ م\u200cی \u2067right\u2069", []),
        ("nul\0", ["control_character"]),
        ("bell\x07", ["control_character"]),
        ("c1\x85", ["control_character"]),
        ("a lone\rreturn", ["control_character"]),
        ("half \ud83d of a pair", ["surrogate"]),
        ("", ["too_short"]),
        (" \n\u200b\u3164", ["blank"]),
        ("x" * 101, ["too_long"]),
        ("é" * 100, []),
        ("\0" * 101, ["control_character", "too_long"]),
    ],
)
def test_text_is_taken_as_it_is_or_refused_with_its_faults(value: str, codes: list[str]) -> None:
    faults = text.check_text(value, field="body", maximum=100)
    assert [fault.code for fault in faults] == codes
    assert all(fault.field == "body" for fault in faults)


def test_an_empty_text_passes_where_none_is_needed() -> None:
    assert text.check_text("", field="alt", minimum=0, maximum=10) == []
    assert text.check_text("  ", field="alt", minimum=0, maximum=10) == []


@pytest.mark.parametrize("broken", ["two\nlines", "two\u2028lines", "a\ttab"])
def test_a_single_line_has_no_break_in_it(broken: str) -> None:
    faults = text.check_text(broken, field="title", maximum=100, single_line=True)
    assert [fault.code for fault in faults] == ["control_character"]


@given(st.text(max_size=30))
def test_checking_never_fails_on_any_text(value: str) -> None:
    text.check_text(value, field="body", maximum=20)
    text.check_handle(value)
    text.check_display_name(value)
    assert (text.check_slug(value) == []) == (text.tag_slug(value) is not None)


@pytest.mark.parametrize("handle", ["member1", "abc", "a_1", "x" * 30])
def test_a_handle_is_lower_case_letters_digits_and_underscore(handle: str) -> None:
    assert text.check_handle(handle) == []


@pytest.mark.parametrize("handle", ["ab", "x" * 31, "Abc", "a-b-c", "abc\n", "émile", "a b c", ""])
def test_anything_else_is_no_handle(handle: str) -> None:
    assert [fault.field for fault in text.check_handle(handle)] == ["handle"]


def test_a_display_name_may_not_turn_the_writing_about() -> None:
    assert text.check_display_name("Zoë 🌿 van Dijk") == []
    assert [fault.code for fault in text.check_display_name("ann\u202egpj")] == ["direction"]
    assert [fault.code for fault in text.check_display_name(" \u200b")] == ["blank"]


@pytest.mark.parametrize("spelling", ["bread", "Bread-Baking", "_x", "東京"])
def test_a_topic_can_be_asked_for_in_any_spelling(spelling: str) -> None:
    assert text.check_slug(spelling) == []
    assert text.path_slug(spelling) == fold(unicodedata.normalize("NFKC", spelling))


@pytest.mark.parametrize("spelling", ["", "2024", "two words", "#bread", "-x", "a/b", "a\0", "x" * 101])
def test_what_could_not_be_a_tag_can_not_be_asked_for(spelling: str) -> None:
    assert text.check_slug(spelling)
