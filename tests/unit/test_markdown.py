"""Stories' Markdown: what it becomes, what no attack makes of it, and that the worst of it comes to an end: a text that
took the square of its length would keep this file for minutes."""

import asyncio
import html.parser
import re

import pytest

from services.feed import markdown, text
from shared.wire import Entity

LONGEST = markdown.STORY_LENGTH[1]
TAGS = {"p", "br", "h2", "h3", "h4", "h5", "h6", "strong", "em", "s", "a", "ul", "ol", "li", "blockquote", "pre"}
TAGS |= {"code", "hr", "span"}


def rendered(body: str) -> str:
    """The story as HTML, with everybody mentioned being somebody."""
    found = []
    for entity in markdown.entities(body):
        if isinstance(entity, text.Tag):
            found.append(Entity(type="tag", start=entity.start, end=entity.end, slug=entity.slug))
        elif isinstance(entity, text.Mention):
            found.append(Entity(type="mention", start=entity.start, end=entity.end, account_id="7"))
        else:
            found.append(Entity(type="link", start=entity.start, end=entity.end, url=entity.url))
    return markdown.render(body, found)


class Walls(html.parser.HTMLParser):
    """Whatever stands in the HTML that nobody allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            if not allowed(tag, name, value or ""):
                self.wrong.append(f"<{tag} {name}={value!r}>")
        if tag == "a" and dict(attrs).get("rel") != "nofollow noopener ugc":
            self.wrong.append(f"<a> with rel {dict(attrs).get('rel')!r}")

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"<!--{data}-->")


def allowed(tag: str, name: str, value: str) -> bool:
    if (tag, name) == ("a", "href"):
        return re.match(r"(?i)(https?://|mailto:|/topics/[^/])", value) is not None
    return (tag, name, value) in {
        ("a", "class", "tag"),
        ("a", "rel", "nofollow noopener ugc"),
        ("span", "class", "mention"),
    } or ((tag, name) == ("ol", "start") and value.isdigit())


def walls(made: str) -> list[str]:
    found = Walls()
    found.feed(made)
    found.close()
    return found.wrong


@pytest.mark.parametrize(
    ("body", "made"),
    [
        ("# One\n\n## Two\n\n###### Six", "<h2>One</h2>\n<h3>Two</h3>\n<h4>Six</h4>\n"),
        ("### A\n\n# B\n\n### C\n\n## D", "<h2>A</h2>\n<h2>B</h2>\n<h3>C</h3>\n<h3>D</h3>\n"),
        ("a *b* **c** ~~d~~ `e`", "<p>a <em>b</em> <strong>c</strong> <s>d</s> <code>e</code></p>\n"),
        ("one\ntwo", "<p>one<br>\ntwo</p>\n"),
        ("> said\n\n---", "<blockquote>\n<p>said</p>\n</blockquote>\n<hr>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        ("7. a", '<ol start="7">\n<li>a</li>\n</ol>\n'),
        ("```python\nx < 1\n```", "<pre><code>x &lt; 1\n</code></pre>\n"),
        ("“quotes” – 👩\u200d🌾 & <", "<p>“quotes” – 👩\u200d🌾 &amp; &lt;</p>\n"),
        ("", ""),
    ],
)
def test_markdown_becomes_what_it_says(body: str, made: str) -> None:
    assert rendered(body) == made


def test_links_lead_to_the_web_or_to_a_letter_and_say_that_they_are_a_member_s() -> None:
    rel = 'rel="nofollow noopener ugc"'
    assert rendered("[a](https://b.example/c_d)") == f'<p><a href="https://b.example/c_d" {rel}>a</a></p>\n'
    assert rendered("see https://b.example/c_d_e.") == (
        f'<p>see <a href="https://b.example/c_d_e" {rel}>https://b.example/c_d_e</a>.</p>\n'
    )
    assert rendered("<mailto:ada@b.example>") == (
        f'<p><a href="mailto:ada@b.example" {rel}>mailto:ada@b.example</a></p>\n'
    )
    assert rendered("[a][r]\n\n[r]: http://b.example 'title'") == f'<p><a href="http://b.example" {rel}>a</a></p>\n'


def test_tags_and_mentions_are_found_where_they_are_read_and_only_there() -> None:
    body = (
        "# #Title\n\n#self_compassion_ and @ada_l, `#no @nobody` `` #no ` #no ``, ``` open #Yes\n\n"
        "> ```\n> #no\n> ```\n\n    #no @nobody\n\n\\#no \\@nobody &#35;no **#Bold** [#in](https://b.example/#no)\n"
    )
    found = [body[each.start : each.end] for each in markdown.entities(body)]
    tags = ["#Title", "#self_compassion_", "#Yes", "#Bold", "#in"]
    assert [each for each in found if each[0] == "#"] == tags
    assert [each for each in found if each[0] == "@"] == ["@ada_l"]
    made = rendered(body)
    assert re.findall(r'href="/topics/(\w+)"', made) == ["title", "selfcompassion", "yes", "bold"]
    assert made.count('<span class="mention">@ada_l</span>') == 1
    assert ">#in</a>" in made  # within a link there is no other


ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<style>*{display:none}</style><!-- comment -->",
    "<iframe src=//evil.example></iframe><object><embed>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](java&#x0A;script:alert(1))",
    "[x](\\javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](vbscript:x) [y](data:text/html,<script>1</script>) [z](file:///etc/passwd) [w](blob:x)",
    "[x](//evil.example) [y](/v1/me) [z](?a) [w](#top)",
    "<javascript:alert(1)> <data:x>",
    "[x]\n\n[x]: javascript:alert(1)",
    '[x](https://b.example "onclick=alert(1)") [y](https://b.example/"onclick="alert(1))',
    "[x](https://b.example 'a\" onmouseover=\"alert(1)')",
    "![x](https://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    '```"><script>alert(1)</script>\nx\n```',
    "`<script>alert(1)</script>`",
    "```<img onerror=1>\n```",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62;",
    '#tag"><script>alert(1)</script> @ada"onclick=alert(1)',
    'https://b.example/"onmouseover="alert(1) https://b.example/\'><script>',
    "https://b.example/#<script>alert(1)</script>",
    "<https://b.example/><script>alert(1)</script>",
    "[<script>](https://b.example)",
    "[a](https://b.example)<!--",
    "<p style=position:fixed>x</p>",
    "<math><mi//xlink:href='data:x,<script>1</script>'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "\ufdd0<b\u2028onclick=alert(1)>",
    "[x](https://user:pass@b.example/\u202ejs.exe)",
    "1111111111. x",
    "-1. x\n\n2147483648) y",
]


@pytest.mark.parametrize("body", ATTACKS)
@pytest.mark.parametrize("around", ["{}", "# {}", "> - {}", "**{}**", "[{}](https://b.example)"])
def test_nothing_gets_through_that_is_not_on_the_list(body: str, around: str) -> None:
    assert walls(rendered(around.format(body))) == []


@pytest.mark.parametrize("body", ATTACKS)
def test_the_second_wall_holds_without_the_first(body: str) -> None:
    assert walls(markdown.clean(body)) == []
    assert (
        walls(markdown.clean(f'<p class="tag" onclick="x"><a href="/v1/me" class="mention" target="_top">{body}')) == []
    )


def filled(pattern: str) -> str:
    return (pattern * (LONGEST // len(pattern) + 1))[:LONGEST]


WORST = [
    *("[", "]", "![", "[a](", "[a](<b", "[]()", "[x][y]", "![[]()", "[a]: b\n", "*", "_", "**a ", "*a_ ", "a**b"),
    *("*~", "~~a", "`", "`a``b", "```\n", "<", "<a ", "<!--", "<http:", "&", "&#", "\\", ">", "> ", "- ", "1. "),
    *("* a\n\n", "a\n=\n", "a\n", "#", "# ", "#tag ", "@bobby ", "http://a ", "\t", "|a", "("),
]


@pytest.mark.parametrize("pattern", WORST)
def test_the_worst_texts_come_to_an_end(pattern: str) -> None:
    assert walls(rendered(filled(pattern))) == []


def test_the_worst_nestings_come_to_an_end() -> None:
    for body in (
        "> " * 100 + "\n" + "a\n" * 19_000,
        "\n".join("  " * depth + "- a" for depth in range(190)),
        "".join("`" * length + " " for length in range(1, 280)),
        "[" * 20_000 + "]" * 20_000,
        "*" * 20_000 + "a" + "*" * 20_000,
        "".join(f"[a{number}]: http://b\n" for number in range(2_500)),
    ):
        assert walls(rendered(body[:LONGEST])) == []


async def test_the_loop_goes_on_while_a_story_is_rendered_and_it_is_rendered_once() -> None:
    renderer = markdown.Renderer()
    body, turns = filled("a**b"), 0
    rendering = asyncio.create_task(renderer.html(body, []))
    while not rendering.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 3
    assert await renderer.html(body, []) is rendering.result()
    small = markdown.Renderer(kept_bytes=10)
    first = await small.html("one", [])
    await small.html("two, which takes the room of the first", [])
    assert await small.html("one", []) == first
