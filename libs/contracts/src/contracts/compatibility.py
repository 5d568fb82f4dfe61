"""Tells a harmless change of a message from one that needs a new version.

The published schemas lie in `published/`; `python -m contracts.compatibility --publish` writes them anew.
"""

import json
import sys
from pathlib import Path
from typing import Any

from contracts.base import Message, Value
from contracts.examples import models

PUBLISHED = Path(__file__).parent / "published"

Schema = dict[str, Any]


def file_name(model: type[Value]) -> str:
    """Return `SendMessage.v1.json`; stored values have no version of their own and stay at 1."""
    version = model.VERSION if issubclass(model, Message) else 1
    return f"{model.__name__}.v{version}.json"


def breaking(old: Schema, new: Schema) -> list[str]:
    """Return why a reader or writer of *old* could not work with *new*; empty where it can."""
    return _object(old, new, old.get("$defs", {}), new.get("$defs", {}), "")


def _resolve(schema: Schema, defs: Schema) -> Schema:
    name = schema.get("$ref", "").rpartition("/")[2]
    return defs[name] if name else schema


def _object(old: Schema, new: Schema, old_defs: Schema, new_defs: Schema, path: str) -> list[str]:
    old, new = _resolve(old, old_defs), _resolve(new, new_defs)
    problems = [f"{path}{f}: newly required" for f in new.get("required", []) if f not in old.get("required", [])]
    for name, was in old.get("properties", {}).items():
        now = new.get("properties", {}).get(name)
        at = f"{path}{name}"
        problems += [f"{at}: removed"] if now is None else _field(was, now, old_defs, new_defs, at)
    return problems + _narrowed(old, new, path.rstrip("."))


def _field(was: Schema, now: Schema, old_defs: Schema, new_defs: Schema, at: str) -> list[str]:
    was, now = _resolve(was, old_defs), _resolve(now, new_defs)
    if "anyOf" in was or "anyOf" in now:
        return _any_of(was, now, old_defs, new_defs, at)
    if was.get("type") != now.get("type") or was.get("format") != now.get("format"):
        return [f"{at}: {was.get('type')} became {now.get('type')}"]
    if was.get("type") == "array":
        return _field(was.get("items", {}), now.get("items", {}), old_defs, new_defs, f"{at}[]")
    if was.get("type") == "object":
        return _object(was, now, old_defs, new_defs, f"{at}.")
    return _narrowed(was, now, at)


def _any_of(was: Schema, now: Schema, old_defs: Schema, new_defs: Schema, at: str) -> list[str]:
    before, after = was.get("anyOf", [was]), now.get("anyOf", [now])
    lost = [b for b in before if not any(not _field(b, a, old_defs, new_defs, at) for a in after)]
    return [f"{at}: no longer {_resolve(b, old_defs).get('type', b)}" for b in lost]


def _narrowed(was: Schema, now: Schema, at: str) -> list[str]:
    problems = [f"{at}: no longer allows {v!r}" for v in was.get("enum", []) if "enum" in now and v not in now["enum"]]
    problems += [f"{at}: now only some values"] if "enum" in now and "enum" not in was else []
    if was.get("const", now.get("const")) != now.get("const"):
        problems.append(f"{at}: const changed")
    if now.get("pattern") not in (None, was.get("pattern")):
        problems.append(f"{at}: pattern changed")
    for key, sign in (
        ("maxLength", -1),
        ("maximum", -1),
        ("maxItems", -1),
        ("minLength", 1),
        ("minimum", 1),
        ("minItems", 1),
    ):
        limit, before = now.get(key), was.get(key)
        if limit is not None and (before is None or (limit - before) * sign > 0):
            problems.append(f"{at}: {key} {before} became {limit}")
    return problems


def unpublished() -> dict[str, list[str]]:
    """Return, per model, what breaks against its published schema (or that it has none)."""
    found = {}
    for model in models():
        file = PUBLISHED / file_name(model)
        if not file.exists():
            found[model.__name__] = ["never published: run python -m contracts.compatibility --publish"]
        elif problems := breaking(json.loads(file.read_text("utf-8")), model.model_json_schema()):
            found[model.__name__] = problems
    return found


def main() -> int:
    """Print what breaks; with --publish write the schemas, unless something breaks."""
    problems = {k: v for k, v in unpublished().items() if not v[0].startswith("never")}
    for name, lines in problems.items():
        sys.stderr.write("".join(f"{name}: {line}\n" for line in lines))
    if problems:
        sys.stderr.write("A breaking change needs a new VERSION of the message and a new subject.\n")
        return 1
    if "--publish" in sys.argv:
        PUBLISHED.mkdir(exist_ok=True)
        for model in models():
            text = json.dumps(model.model_json_schema(), indent=1, sort_keys=True) + "\n"
            (PUBLISHED / file_name(model)).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
