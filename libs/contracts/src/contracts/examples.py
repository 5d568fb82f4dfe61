"""Examples that ship with the messages: documents show them, tests load them."""

import json
from importlib.resources import files
from typing import Any

from contracts.base import Value
from contracts.registry import CONTRACTS


def models() -> list[type[Value]]:
    """Return every model of the table once, replies included."""
    found = [m for c in CONTRACTS for m in (c.model, c.reply) if m is not None]
    return list(dict.fromkeys(found))


def example(model: type[Value]) -> dict[str, Any]:
    """Return the model's example; raises FileNotFoundError where it has none."""
    text = (files("contracts") / "example_files" / f"{model.__name__}.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded
