"""The practice recipients of a rehearsal: most just read, some reply, one unsubscribes, one or two are never reached."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

REPLY_EVERY = 10


@dataclass(frozen=True)
class Person:
    """One line of the CSV."""

    name: str
    address: str
    acts: str
    """read, reply, unsubscribe, and what a channel has of its own: bounce, block, absent."""
    replies: bool = False
    """A conversation of the campaign comes of it."""
    column: str = "email"
    """Of the CSV, for the address."""


def acting(number: int, never: tuple[str, ...]) -> str:
    """Return what the recipient of that number does; *never*: acts of those that are not reached, one each."""
    if number in range(1, 1 + len(never)):
        return never[number - 1]
    if number == 1 + len(never):
        return "unsubscribe"
    return "reply" if number % REPLY_EVERY == 0 else "read"


_DIGIT = {"read": 1, "reply": 2, "unsubscribe": 3, "block": 4, "absent": 5, "shop": 9}


def phone(acts: str, run: int, number: int) -> str:
    """Return a phone number that says what its owner does, as `numbers` finds it; possible in Indonesia, and nobody's."""
    return f"{numbers(acts)}{run % 100_000:05d}{number:06d}"


def numbers(acts: str) -> str:
    """Return how the numbers begin of those who do this. The longest numbering plan leaves 15 digits (ITU-T E.164)."""
    return f"+628{_DIGIT[acts]}"


def csv(people: Iterable[Person]) -> Iterator[bytes]:
    """Yield the people as a CSV file, a thousand lines at a time."""
    lines: list[str] = []
    for person in people:
        lines = lines or [f"name,{person.column},city\n"]
        lines.append(f"{person.name},{person.address},Bandung\n")
        if len(lines) > 1000:
            yield "".join(lines).encode()
            lines = [""]
    yield "".join(lines).encode()
