"""The practice recipients of a rehearsal: most just read, some reply, one bounces, one unsubscribes."""

from collections.abc import Iterator
from dataclasses import dataclass

DOMAIN = "practice.test"
REPLY_EVERY = 10


@dataclass(frozen=True)
class Person:
    """One line of the CSV."""

    name: str
    email: str
    acts: str
    """read, reply, bounce or unsubscribe."""


def people(count: int, run: int) -> Iterator[Person]:
    """Yield *count* people; *run* makes their addresses new, so that a rehearsal can be repeated on one platform."""
    for i in range(count):
        acts = "bounce" if i == 1 else "unsubscribe" if i == 2 else "reply" if i % REPLY_EVERY == 0 else "read"
        local = f"person-{run}{i:07d}" if acts == "read" else f"{acts}-{run}{i:07d}"
        yield Person(f"Pelanggan {i}", f"{local}@{DOMAIN}", acts)


def csv(count: int, run: int) -> Iterator[bytes]:
    """Yield the people as a CSV file, a thousand lines at a time."""
    lines = ["name,email,city\n"]
    for person in people(count, run):
        lines.append(f"{person.name},{person.email},Bandung\n")
        if len(lines) >= 1000:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join(lines).encode()
