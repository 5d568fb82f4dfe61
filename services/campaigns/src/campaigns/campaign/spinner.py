"""Spinner: `{Hi|Hello|Halo}` in a template, chosen by the row, so that a redo writes the same words."""

import re
from dataclasses import dataclass, field

from contracts.ids import digest

_OPAQUE_HTML = r"<style\b.*?</style>|<script\b.*?</script>|<!--.*?-->|"
_TOKENS = r"\{\{.*?\}\}|\{%.*?%\}|[{|}]"
_TEXT = re.compile(f"({_TOKENS})", re.DOTALL)
_HTML = re.compile(f"({_OPAQUE_HTML}{_TOKENS})", re.DOTALL | re.IGNORECASE)
_MAX_CHOICES = 200
_MAX_DEPTH = 30


@dataclass
class _Group:
    parts: list[list[str]] = field(default_factory=lambda: [[]])

    @property
    def text(self) -> list[str]:
        return self.parts[-1]


@dataclass(frozen=True)
class Spun:
    """A liquid source whose choices ask `_spin_0`, `_spin_1`, …; `counts` says among how many each chooses."""

    source: str
    counts: tuple[int, ...]

    def choices(self, row: str, field_name: str) -> dict[str, int]:
        """Return the choices of a row: always the same for the same row and field."""
        if not self.counts:
            return {}
        return {
            f"_spin_{n}": int(digest("spin", row, field_name, n)[:8], 16) % count for n, count in enumerate(self.counts)
        }


def spin(source: str, *, html: bool = False) -> Spun:
    """Turn choices into liquid's `case`. Braces without a `|` stay as they are, as do liquid's own tags."""
    counts: list[int] = []
    stack = [_Group()]
    for piece in (_HTML if html else _TEXT).split(source):
        if piece == "{" and len(stack) <= _MAX_DEPTH:
            stack.append(_Group())
        elif piece == "|" and len(stack) > 1:
            stack[-1].parts.append([])
        elif piece == "}" and len(stack) > 1:
            group = stack.pop()
            stack[-1].text.append(_closed(group, counts))
        else:
            stack[-1].text.append(piece)
    while len(stack) > 1:  # a brace that was never closed is text
        group = stack.pop()
        stack[-1].text.append("{" + "|".join("".join(part) for part in group.parts))
    return Spun("".join(stack[0].text), tuple(counts))


def _closed(group: _Group, counts: list[int]) -> str:
    options = ["".join(part) for part in group.parts]
    if len(options) == 1 or len(counts) >= _MAX_CHOICES:
        return "{" + "|".join(options) + "}"
    name = f"_spin_{len(counts)}"
    counts.append(len(options))
    cases = "".join(f"{{% when {n} %}}{option}" for n, option in enumerate(options))
    return f"{{% case {name} %}}{cases}{{% endcase %}}"
