"""What was heard before what it is about: it comes again a few times, then it is taken as it is."""

from collections.abc import Callable, Sequence

from servicekit import delivery

Later = Callable[[object], bool]
"""Offers a message to come again; returns whether it will. Whoever is told False takes the message as it is."""
PAUSES_SECONDS = (2.0, 8.0)
"""Another batch, or another replica, may still be writing what came before."""


def never(message: object) -> bool:  # noqa: ARG001  # every message is offered
    """Take every message as it is."""
    return False


def later_of(items: Sequence[delivery.Received]) -> Later:
    """Return how the messages of a batch may come again."""
    by_data = {id(item.data): item for item in items}

    def later(message: object) -> bool:
        item = by_data[id(message)]
        if item.tries > len(PAUSES_SECONDS):
            return False
        item.retry(PAUSES_SECONDS[item.tries - 1], "it may be about something that is not written yet")
        return True

    return later
