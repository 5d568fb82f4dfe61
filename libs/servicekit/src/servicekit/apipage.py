"""An OpenAPI document as one page of HTML."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

Json = dict[str, Any]

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
code,b.m{font-family:ui-monospace,monospace}b.m{display:inline-block;min-width:4.5rem;color:#1f5fbf}
details{border-bottom:1px solid #ddd;padding:.3rem 0}summary{cursor:pointer}table{border-collapse:collapse;margin:.5rem 0}
td,th{text-align:left;vertical-align:top;padding:.15rem .8rem .15rem 0}small{color:#666}"""


def page(document: Json) -> str:
    """Return the page: routes by tag, then every schema; each body and answer links to its schema."""
    title = escape(document["info"]["title"])
    routes = "".join(_group(tag, found) for tag, found in _by_tag(document).items())
    schemas = "".join(_schema(name, found) for name, found in sorted(document["components"]["schemas"].items()))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{title}</h1><p>Send <code>Authorization: Bearer &lt;token&gt;</code> with every request; "
        f'<code>kurir token</code> prints one. For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{routes}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _by_tag(document: Json) -> dict[str, list[tuple[str, str, Json]]]:
    found: dict[str, list[tuple[str, str, Json]]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            found[(route.get("tags") or ["other"])[0]].append((method.upper(), path, route))
    return found


def _group(tag: str, routes: Iterable[tuple[str, str, Json]]) -> str:
    return f"<h2>{escape(tag)}</h2>" + "".join(_route(*route) for route in routes)


def _route(method: str, path: str, route: Json) -> str:
    inside = [f"<p>{escape(route.get('description', ''))}</p>", _table(_parameters(route))]
    for kind, body in route.get("requestBody", {}).get("content", {}).items():
        inside.append(f"<p>Body: <code>{escape(kind)}</code> {_type(body.get('schema', {}))}</p>")
    inside.append(_table(_answers(route)))
    head = f'<b class="m">{method}</b> <code>{escape(path)}</code> <small>{escape(route.get("summary", ""))}</small>'
    return f"<details><summary>{head}</summary>{''.join(inside)}</details>"


def _parameters(route: Json) -> Iterator[tuple[str, str, str]]:
    for one in route.get("parameters", []):
        schema = one.get("schema", {})
        name = f"<code>{escape(one['name'])}</code>{' *' if one.get('required') else ''} <small>{one['in']}</small>"
        yield name, _type(schema), escape(one.get("description") or schema.get("description") or "")


def _answers(route: Json) -> Iterator[tuple[str, str, str]]:
    for status, answer in route["responses"].items():
        kinds = [_type(content.get("schema", {})) for content in answer.get("content", {}).values()]
        yield f"<code>{escape(status)}</code>", " ".join(kinds), escape(answer.get("description", ""))


def _schema(name: str, schema: Json) -> str:
    needed = schema.get("required", [])
    fields = (
        (f"<code>{escape(field)}</code>{' *' if field in needed else ''}", _type(found), _words(found))
        for field, found in schema.get("properties", {}).items()
    )
    body = f"<p>{_words(schema)}</p>{_table(fields) if 'properties' in schema else _type(schema)}"
    return f'<details id="{escape(name)}" open><summary><code>{escape(name)}</code></summary>{body}</details>'


def _words(schema: Json) -> str:
    default = (
        f" Default: <code>{escape(str(schema['default']))}</code>" if schema.get("default") not in (None, "") else ""
    )
    return escape(schema.get("description", "")) + default


def _type(schema: Json) -> str:
    if ref := schema.get("$ref"):
        name = escape(ref.rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for kind in ("anyOf", "oneOf", "allOf"):
        if kind in schema:
            return " or ".join(_type(one) for one in schema[kind])
    if values := schema.get("enum"):
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("const") or schema.get("format") or schema.get("type") or "any"))


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{lines}</table>" if lines else ""
