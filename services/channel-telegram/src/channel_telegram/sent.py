"""Which messages this process sent: their copies among the updates are no news."""

import contextlib
from collections import OrderedDict
from collections.abc import Iterator

_KEPT = 2_000


class SentIds:
    """The latest ids of an account's own sends."""

    def __init__(self) -> None:
        self._ids: OrderedDict[int, None] = OrderedDict()
        self._asking = 0

    def __contains__(self, message_id: int) -> bool:
        return message_id in self._ids

    def add(self, message_id: int) -> None:
        """Remember a message of ours."""
        self._ids[message_id] = None
        if len(self._ids) > _KEPT:
            self._ids.popitem(last=False)

    @property
    def busy(self) -> bool:
        """Return whether a send waits for its answer: a message of ours may be its."""
        return self._asking > 0

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """A send is under way."""
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
