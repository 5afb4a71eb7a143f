"""The documentation for people: plain HTML from the OpenAPI document and the error tree. No script, nothing foreign."""

import json
from html import escape
from typing import Any

from shared.errors import all_errors

HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
}
"""What these pages are sent with."""


def calls_page(document: dict[str, Any], title: str, besides: str) -> str:
    """Every call with what it takes, what it answers, and how it can fail; `besides`, HTML, says where the rest is."""
    sections = [
        _call(method.upper(), path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    lead = f"<p>{escape(document['info'].get('description', ''))}</p>"
    lead += '<p>The same for machines: <a href="openapi.json">openapi.json</a>. <a href="docs/errors">Errors</a>. '
    return _page(title, f"{lead}{besides}</p>" + "".join(sections))


def errors_page() -> str:
    """Every error code with its status and what to do about it."""
    rows = "".join(
        f'<tr id="{escape(error.code)}"><td><code>{escape(error.code)}</code></td><td>{error.status}</td>'
        f"<td>{escape(error.title)}</td><td>{escape(error.remedy)}</td>"
        f"<td>{'can help' if error.retryable else 'will not help'}</td></tr>"
        for error in sorted(all_errors(), key=lambda error: (error.status, error.code))
        if error.code != "key_used"
    )
    head = "<tr><th>Code</th><th>Status</th><th>What it means</th><th>What to do</th><th>Trying again</th></tr>"
    return _page("Errors", f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>")


def _call(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<li><code>{escape(each['name'])}</code> ({each['in']}): {escape(each.get('description', ''))}</li>"
        for each in operation.get("parameters", ())
    )
    body = operation.get("requestBody", {}).get("content", {})
    taken = "".join(
        f"<p>Takes {escape(kind)}: {_shape(content['schema'])}</p>{_example(content)}" for kind, content in body.items()
    )
    answers = "".join(_answer(status, answer) for status, answer in operation["responses"].items())
    return (
        f'<section id="{escape(operation["operationId"])}"><h2><code>{method} {escape(path)}</code></h2>'
        f"<p>{escape(operation['description'])}</p>{taken}<ul>{parameters}</ul><ul>{answers}</ul></section>"
    )


def _answer(status: str, answer: dict[str, Any]) -> str:
    shapes = "".join(f" {_shape(content['schema'])}" for content in answer.get("content", {}).values())
    examples = "".join(map(_example, answer.get("content", {}).values()))
    if status >= "300":
        shown = examples and f"<details><summary>What is answered</summary>{examples}</details>"
        return f"<li>{status}: {escape(answer['description'])}{shown}</li>"
    return f"<li>{status}: {escape(answer['description'])}{shapes}{examples}</li>"


def _example(content: dict[str, Any]) -> str:
    """Its example, or each of its named ones."""
    shown = [content["example"]] if "example" in content else []
    shown += [each["value"] for each in content.get("examples", {}).values()]
    return "".join(
        f"<pre><code>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</code></pre>" for value in shown
    )


def _shape(schema: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f"<code>{escape(name)}</code>" if name else f"<code>{escape(', '.join(schema.get('properties', {})))}</code>"


def _page(title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
        f"<body><main><h1>{title}</h1>{content}</main></body></html>"
    )
