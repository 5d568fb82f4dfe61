"""Variables that recipients lack: who lacks which, and what to do about it."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

STANDARD = ("name", "first_name", "email", "phone")
NAMED = 10


def meant(name: str, known: Collection[str]) -> str:
    """Return `: did you mean name?` for the nearest of the *known* names, nothing where none is near."""
    near = get_close_matches(name, sorted(known), n=1)
    return f": did you mean {near[0]}?" if near else ""


class Missing:
    """What the recipients looked at so far lack."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._lacked: dict[str, None] = {}
        self._had: set[str] = set()

    def note(self, address: str, variables: Mapping[str, str], names: Sequence[str]) -> None:
        """Take in one recipient: the *variables* it has, and the *names* asked for in vain."""
        self._had.update(variables)
        if names:
            self.lines.append(f"{address}: {', '.join(names)}")
            self._lacked.update(dict.fromkeys(names))

    def failed(self, address: str, why: str) -> None:
        """Take in one recipient whom a template cannot be rendered for."""
        self.lines.append(f"{address}: {why}")

    def advice(self) -> list[str]:
        """Return what to do, in a sentence or two: about a name nobody has, and about one that some lack."""
        nobody = [name for name in self._lacked if name not in self._had][:NAMED]
        said = [f"nobody has {name}{meant(name, {*STANDARD, *self._had})}" for name in nobody]
        if self._lacked:
            example = next((name for name in self._lacked if name in self._had), next(iter(self._lacked)))
            said.append(f'give a default, such as {{{{ {example} | default: "…" }}}}, or add ?allow_missing=true')
        return said
