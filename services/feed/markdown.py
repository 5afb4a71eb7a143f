"""Stories' words: Markdown to HTML that may stand on anybody's page, and the tags and mentions in them. No IO.

CommonMark and ~~strikethrough~~; no HTML, no pictures, no tables. The parser makes nothing else, and what it made is
sanitised all the same: two walls, since the first one's rules are long. The body itself is never touched.
"""

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from services.feed import text
from shared.wire import Entity, encode

STORY_LENGTH = (1, 40_000)
"""Code points of a story."""
_NESTING = 12
"""Quotes in lists in quotes: each level costs a pass over all lines below it."""
_BRACKETS = 2_000
"""Opening brackets past which none begins a link: looking for each one's end is quadratic (2 s for 40,000 of them)."""
_KEPT_BYTES = 16 * 1024 * 1024

_SCHEMES = ("http://", "https://", "mailto:")
_TAGS = frozenset(
    [
        "p",
        "br",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "strong",
        "em",
        "s",
        "a",
        "ul",
        "ol",
        "li",
        "blockquote",
        "pre",
        "code",
        "hr",
        "span",
    ]
)
_TOPIC = re.compile(r"/topics/[^/?#\\\s]+")
# A body holds no control characters, they are refused at the door: so these can stand for its tags and mentions.
_OPEN, _CLOSE = "\x01", "\x02"
_HELD = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_FENCED = frozenset({"fence", "code_block"})
_TICKS = re.compile(r"\\.|(?P<ticks>`+)", re.DOTALL)
_ESCAPED = re.compile(r"\\[#@]|&#[xX]?[0-9A-Fa-f]{1,8};")


def entities(body: str) -> list[text.Entity]:
    """Tags, mentions and links of a story in the order of its source; none in code, none behind a backslash, and no
    character's number (&#35;)."""
    shown = list(body)
    for start, end in _code(body):
        shown[start:end] = " " * (end - start)
    hidden = {match.start() + 1 for match in _ESCAPED.finditer("".join(shown))}
    return [entity for entity in text.entities("".join(shown)) if entity.start not in hidden]


def render(body: str, found: Sequence[Entity]) -> str:
    """The story as HTML; `found` are its entities as they were stored. Headings begin at h2: the title is the h1."""
    held = [each for each in found if each.type in ("tag", "mention")]
    pieces, at = [], 0
    for number, entity in enumerate(held):
        pieces += [body[at : entity.start], f"{_OPEN}{number}{_CLOSE}"]
        at = entity.end
    source = "".join([*pieces, body[at:]])
    sources = [body[each.start : each.end] for each in held]
    parser = _parser(links=source.count("[") <= _BRACKETS)
    return clean(parser.render(source, {"held": held, "sources": sources}))


def clean(html: str) -> str:
    """`html` with nothing in it but what stands in _TAGS, and links to the web, to letters and to our topics."""
    return nh3.clean(
        html,
        tags=set(_TAGS),
        attributes={"a": {"href", "class"}, "ol": {"start"}, "span": {"class"}},
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener ugc",
        strip_comments=True,
    )


class Renderer:
    """Renders in a thread, one story at a time, and remembers what it rendered: the loop goes on meanwhile."""

    def __init__(self, kept_bytes: int = _KEPT_BYTES) -> None:
        self._kept: OrderedDict[bytes, str] = OrderedDict()
        self._room = kept_bytes
        self._one_at_a_time = asyncio.Lock()

    async def html(self, body: str, found: Sequence[Entity]) -> str:
        """As `render`."""
        key = hashlib.sha256(encode([body, found])).digest()
        async with self._one_at_a_time:
            html = self._kept.get(key)
            if html is None:
                html = self._kept[key] = await asyncio.to_thread(render, body, found)
                self._room -= len(html)
                while self._room < 0 and len(self._kept) > 1:
                    self._room += len(self._kept.popitem(last=False)[1])
            self._kept.move_to_end(key)
            return html


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "href":
        return value if value.lower().startswith(_SCHEMES) or _TOPIC.fullmatch(value) else None
    if name == "rel":
        return value  # the sanitiser's own
    if name == "class":
        return value if (tag, value) in {("a", "tag"), ("span", "mention")} else None
    return value if value.isdigit() and len(value) <= 9 else None


def _parser(*, links: bool = True) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": _NESTING})
    parser.enable("strikethrough").disable(["image", "html_block", "html_inline"])
    if not links:
        parser.disable(["link", "reference"])
    parser.validateLink = lambda url: url.lower().startswith(_SCHEMES)  # type: ignore[method-assign]
    parser.core.ruler.push("chorus", _our_own)
    return parser


def _code(body: str) -> Iterator[tuple[int, int]]:
    """Where code stands in the source, as the parser sees blocks and as backticks pair within the other lines."""
    lines = [0]
    lines += [match.end() for match in re.finditer("\n", body)]
    lines.append(len(body))
    parser = _parser(links=False)
    parser.disable("inline")  # blocks alone: no words are looked into yet
    for token in parser.parse(body, {"held": [], "sources": []}):
        if token.map is None or token.type not in (*_FENCED, "inline"):
            continue
        start, end = lines[min(token.map[0], len(lines) - 1)], lines[min(token.map[1], len(lines) - 1)]
        if token.type in _FENCED:
            yield start, end
        else:
            yield from _spans(body, start, end)


def _spans(body: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Code spans of a paragraph: a run of backticks ends at the next that is as long; one that has none is text."""
    runs = [m.span() for m in re.finditer("`+", body[start:end])]
    by_length: dict[int, list[int]] = {}
    for place, (first, last) in enumerate(runs):
        by_length.setdefault(last - first, []).append(place)
    at, taken = start, 0
    while (found := _TICKS.search(body, at, end)) is not None:
        at = found.end()
        if found["ticks"] is None:
            continue
        while taken < len(runs) and runs[taken][1] + start < at:
            taken += 1
        closing = next((n for n in _from(by_length.get(len(found[0]), []), taken + 1)), None)
        if closing is not None:
            yield found.start(), runs[closing][1] + start
            at = runs[closing][1] + start


def _from(places: list[int], least: int) -> Iterator[int]:
    while places and places[0] < least:
        places.pop(0)
    yield from places[:1]


def _our_own(state: StateCore) -> None:
    """Tags and mentions in their places, addresses as links, headings from h2 on without leaving a level out."""
    held, sources = state.env["held"], state.env["sources"]

    def written(match: "re.Match[str]") -> str:
        return str(sources[int(match[1])])

    ranks = sorted({token.tag for token in state.tokens if token.type == "heading_open"})
    level = 1
    for token in state.tokens:
        if token.type == "heading_open":
            level = min(2 + ranks.index(token.tag), level + 1)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, level)}"
        if token.type in _FENCED:
            token.content = _HELD.sub(written, token.content)
            token.info = ""
        if token.children:
            token.children = list(_inline(token.children, held, written))


def _inline(
    children: Sequence[Token], held: Sequence[Entity], written: "Callable[[re.Match[str]], str]"
) -> Iterator[Token]:
    within = 0  # a link: it holds no other
    for child in children:
        within += (child.type == "link_open") - (child.type == "link_close")
        child.attrs = {
            name: _HELD.sub(written, value) if isinstance(value, str) else value
            for name, value in child.attrs.items()
            if name in ("href", "start")
        }
        if child.type != "text" or within:
            child.content = _HELD.sub(written, child.content)
            yield child
            continue
        at = 0
        for match in _HELD.finditer(child.content):
            yield from _addresses(child.content[at : match.start()])
            yield from _entity(held[int(match[1])], written(match))
            at = match.end()
        yield from _addresses(child.content[at:])


def _entity(entity: Entity, words: str) -> Iterator[Token]:
    if entity.type == "tag":
        yield from _around("a", {"class": "tag", "href": f"/topics/{entity.slug}"}, words)
    else:
        yield from _around("span", {"class": "mention"}, words)


def _addresses(words: str) -> Iterator[Token]:
    """Text, with its bare web addresses as links."""
    at = 0
    for entity in text.entities(words) if "://" in words else ():
        if isinstance(entity, text.Link):
            yield _text(words[at : entity.start])
            yield from _around("a", {"href": entity.url}, entity.url)
            at = entity.end
    yield _text(words[at:])


def _around(tag: str, attributes: dict[str, str], words: str) -> Iterator[Token]:
    kind = "link" if tag == "a" else "mention"
    yield Token(f"{kind}_open", tag, 1, attrs=dict(attributes))
    yield _text(words)
    yield Token(f"{kind}_close", tag, -1)


def _text(words: str) -> Token:
    return Token("text", "", 0, content=words)
