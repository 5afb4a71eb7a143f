"""Bad input for every call, generated from the OpenAPI document, so that a new call is covered unasked.

Each is answered by a problem document that names the fault, and leaves every table as it was.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import msgspec

from shared.web import Problem
from tests.feed.community import Community, Member
from tests.feed.community import problem as problem_of
from tests.feed.test_media import picture
from tests.feed.test_openapi import document_of, example_calls

REFUSALS = (400, 401, 403, 404, 409, 413, 415, 422)
WRONG: list[Any] = [None, True, 5, -1, 1.5, "x", [], {}, [[]], [None], {"a": 1}]
MADE_UP = [
    "1",
    "0",
    "-1",
    "x",
    "1.5",
    "9" * 18,
    "9" * 40,
    "%00",
    "%0A",
    "%ED%A0%80",
    "%F0%9F%99%82",
    "..%2F..%2Fetc",
    "'--",
]


class Case(NamedTuple):
    """One bad body: what is wrong, its bytes, and the field that a 422 must name (None: any)."""

    about: str
    raw: bytes
    field: str | None


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without a reference at its top."""
    if "$ref" in schema:
        found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def kinds(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives of a schema."""
    found: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return found


def fits(schema: dict[str, Any], value: Any) -> bool:
    """Whether the type alone would let `value` pass."""
    python = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict, "null": type(None)}
    for kind in kinds(schema):
        expected = python[kind.get("type", "string")]
        if isinstance(value, expected) and not (expected is int and isinstance(value, bool)):
            return True
    return False


def bad_values(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values that no field of this schema takes."""
    for value in WRONG:
        if not fits(schema, value):
            yield "wrong type", value
    for kind in kinds(schema):
        if kind.get("type") == "string":
            yield "control characters", "a\x00b"
            yield "control characters", "\x1b[31mred red red"
            yield "too long", "x" * (kind["maxLength"] + 1 if "maxLength" in kind else 200_000)
            if kind.get("minLength"):
                yield "too short", ""
            if "enum" in kind or "pattern" in kind:
                yield "not one of them", "No Such Value!"
        if kind.get("type") == "integer":
            yield from (("out of range", value) for value in (0, -1, 2**31, 2**63, 2**64, 10**40))
        if kind.get("type") == "array":
            yield "too many", ["a"] * (kind["maxItems"] + 1)
            bad: list[Any] = [None, 5, "", "a\x00b", "no such thing!", [], {}]
            yield from (("bad item", [value]) for value in bad)


def bad_bodies(schema: dict[str, Any], good: dict[str, Any], *, required: bool) -> Iterator[Case]:
    """Every way in which a body of this schema can be wrong, one at a time, and all at once."""
    whole = encoded(good)
    yield Case("not JSON", b"{", None)
    yield Case("not JSON", b"\xff\xfe\x00", None)
    yield Case("not UTF-8", whole[:-1] + b',"\xc3":1}', None)
    yield Case("nested deeply", b"[" * 100_000, None)
    yield Case("nested deeply in a field", b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", None)
    yield Case("too large", b'{"x":"' + b"y" * 300_000 + b'"}', None)
    yield from (Case("no object", encoded(value), None) for value in WRONG if not isinstance(value, dict))
    if required:
        yield Case("empty", b"", None)
    yield Case("unknown field", encoded({**good, "no_such_field": 1}), "no_such_field")
    yield Case("unknown field", encoded({**good, "a\x00\ud83d\ude00" * 50: 1}), None)
    for name in schema.get("required", []):
        yield Case("missing", encoded({key: value for key, value in good.items() if key != name}), name)
    for name, field in schema["properties"].items():
        for about, value in bad_values(field):
            yield Case(f"{name}: {about}", encoded({**good, name: value}), name)
        surrogate = encoded({**good, name: "MARK"}).replace(b"MARK", b"a\\ud800b")
        yield Case(f"{name}: lone surrogate", surrogate, None)
        yield Case(f"{name}: number beyond all", encoded({**good, name: "MARK"}).replace(b'"MARK"', b"1e999"), None)
    everything = {name: {"wrong": True} for name in schema["properties"]}
    for name in everything:
        yield Case("everything", encoded({**everything, "no_such_field": 1}), name)


class Form(NamedTuple):
    """One bad form: what is wrong, its parts as (name, file name, content), and the part that a 422 must name."""

    about: str
    parts: list[tuple[str, str | None, bytes]]
    field: str | None

    @property
    def options(self) -> dict[str, Any]:
        """How it is sent; httpx sends no form without a part."""
        return {"files": [(name, (filename, content)) for name, filename, content in self.parts]}


def bad_forms(schema: dict[str, Any], good: bytes) -> Iterator[Form]:
    """Every way in which a form of this schema can be wrong, one at a time; `good` is what its binary parts take."""
    text = {"binary": (good, "a.png")}
    right: dict[str, tuple[str, str | None, bytes]] = {}
    for name, field in schema["properties"].items():
        content, filename = text.get(field.get("format", ""), (b"words", None))
        right[name] = (name, filename, content)
    whole = list(right.values())
    for name, field in schema["properties"].items():
        others = [part for part in whole if part[0] != name]
        if name in schema["required"]:
            yield Form(f"{name}: missing", others, name)
            yield Form(f"{name}: empty", [*others, (name, right[name][1], b"")], name)
        yield Form(f"{name}: twice", [*whole, right[name]], name)
        if field.get("format") == "binary":
            bad = (
                b"no such thing",
                b"\x00" * 1000,
                good[:40],
                good[: len(good) // 2],
                b"<svg xmlns='x'/>",
                b"\xff\xd8\xff",
            )
            yield from (Form(f"{name}: no image", [*others, (name, "a.png", content)], None) for content in bad)
        else:
            yield Form(f"{name}: not UTF-8", [*others, (name, None, b"\xff\xfe")], name)
            yield Form(f"{name}: lone surrogate", [*others, (name, None, b"a\xed\xa0\x80b")], name)
            for about, value in bad_values(field):
                if isinstance(value, str) and about != "wrong type":
                    yield Form(f"{name}: {about}", [*others, (name, None, value.encode())], name)
    yield Form("unknown part", [*whole, ("no_such_part", None, b"1")], "no_such_part")
    yield Form("unknown part", [*whole, ("a\U0001f642" * 50, "x", b"1")], None)
    yield Form("too many parts", [*whole, *((f"p{number}", None, b"1") for number in range(20))], None)


class Checker:
    """Sends bad requests and gathers what is wrong with how they are refused."""

    def __init__(self, community: Community, member: Member) -> None:
        self.community = community
        self.member = member
        self.wrong: list[str] = []
        self.sent = 0
        self._rows: dict[str, int] | None = None  # as the last request left them: nobody else writes meanwhile

    async def refuses(self, about: str, method: str, path: str, field: str | None = None, **options: Any) -> None:
        before = self._rows or await self.community.row_counts()
        response = await self.member.call(method, path, **options)
        self.sent += 1
        self._rows = await self.community.row_counts()
        fault = self._fault(response, field)
        if fault is None and self._rows != before:
            fault = "rows were written"
        if fault is not None:
            self.wrong.append(f"{method} {path}: {about}: {response.status_code} {fault}: {response.text[:200]}")

    def _fault(self, response: httpx.Response, field: str | None) -> str | None:
        if response.status_code not in REFUSALS:
            return "is no refusal"
        if response.headers["content-type"] != "application/problem+json":
            return "is no problem document"
        problem = msgspec.json.decode(response.content, type=Problem)
        if problem.status == 422 and not problem.errors:
            return "names no fault"
        if field is not None and field not in {fault.field.split(".")[0] for fault in problem.errors}:
            return f"does not name {field}"
        return None


async def checker_of(community: Community) -> Checker:
    return Checker(community, await community.member())


async def test_bad_bodies_are_refused_and_named(serve: Any) -> None:
    plenty = dict.fromkeys(("writes_per_minute", "signups_per_hour", "sign_in_attempts", "letters_per_hour"), 100_000)
    community: Community = await serve(**plenty)
    document, checker = await document_of(community), await checker_of(community)
    for method, template, options in await example_calls(community, checker.member):
        body = document["paths"][template][method.lower()].get("requestBody")
        if body is None or "application/json" not in body["content"]:
            continue
        schema = resolved(document, body["content"]["application/json"]["schema"])
        json_type = {"Content-Type": "application/json"}
        for case in bad_bodies(schema, options["body"], required=body["required"]):
            await checker.refuses(case.about, method, options["path"], case.field, content=case.raw, headers=json_type)
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"):
            headers = {"Content-Type": kind}
            await checker.refuses(
                f"as {kind}", method, options["path"], content=encoded(options["body"]), headers=headers
            )
    assert not checker.wrong, "\n".join(checker.wrong[:30])
    assert checker.sent > 400


async def test_bad_forms_are_refused_and_named(serve: Any) -> None:
    community: Community = await serve(writes_per_minute=100_000)
    document, checker = await document_of(community), await checker_of(community)
    for method, template, options in await example_calls(community, checker.member):
        content = document["paths"][template][method.lower()].get("requestBody", {}).get("content", {})
        if "multipart/form-data" not in content:
            continue
        path = options["path"]
        for form in bad_forms(resolved(document, content["multipart/form-data"]["schema"]), picture("PNG")):
            await checker.refuses(form.about, method, path, form.field, **form.options)
        for raw in (b"", b"--x", b"--x\r\n", b"--x\r\n\r\n\r\n--x--\r\n", b"--y\r\n", b"{}", b"\xff" * 1000):
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            await checker.refuses("damaged", method, path, content=raw, headers=headers)
        for kind in ("application/json", "multipart/form-data", "multipart/mixed; boundary=x", "image/png"):
            await checker.refuses(f"as {kind}", method, path, content=picture("PNG"), headers={"Content-Type": kind})
    assert not checker.wrong, "\n".join(checker.wrong[:30])
    assert checker.sent > 25


async def test_addresses_that_name_nothing_are_refused(serve: Any) -> None:
    community: Community = await serve(writes_per_minute=100_000)
    checker = await checker_of(community)
    for method, template, options in await example_calls(community, checker.member):
        if "{" not in template:
            continue
        for made_up in MADE_UP:
            parts = [made_up if part.startswith("{") else part for part in template.split("/")]
            sent = {name: value for name, value in options.items() if name != "path"}
            await checker.refuses(f"at {made_up}", method, "/".join(parts), **sent)
    assert not checker.wrong, "\n".join(checker.wrong[:30])


async def test_bad_queries_are_refused_and_named(community: Community) -> None:
    document, checker = await document_of(community), await checker_of(community)
    for method, template, options in await example_calls(community, checker.member):
        for parameter in document["paths"][template][method.lower()]["parameters"]:
            if parameter["in"] == "query":
                for value in ("", "x", "0", "-1", "1e9", "9" * 40, "%00", "%ED%A0%80", "é", "x" * 5000, "null", "[]"):
                    path = f"{options['path']}?{parameter['name']}={value}"
                    await checker.refuses("query", method, path, parameter["name"])
    assert checker.sent > 50
    assert not checker.wrong, "\n".join(checker.wrong[:30])


async def test_a_body_of_no_stated_type_is_read_as_json(community: Community) -> None:
    ada = await community.member()
    assert (await ada.call("POST", "/v1/posts", content=b'{"body": "hello"}')).status_code == 201
    problem_of(await ada.call("POST", "/v1/posts", content=b"{"), 400, "unparsable")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    problem_of(await ada.call("POST", "/v1/posts", content=b'{"body": "x"}', headers=form), 415, "unsupported_type")


async def test_what_needs_a_member_is_refused_to_guests(community: Community) -> None:
    document, ada = await document_of(community), await community.member()
    calls = await example_calls(community, ada)
    before = await community.row_counts()
    for method, template, options in calls:
        if document["paths"][template][method.lower()]["security"] == [{"bearer": []}]:
            sent = {name: value for name, value in options.items() if name not in ("path", "body", "headers")}
            if "body" in options:
                sent["json"] = options["body"]
            response = await community.http.request(method, options["path"], **sent)
            assert response.status_code == 401, f"{method} {template}: {response.text}"
    assert await community.row_counts() == before
