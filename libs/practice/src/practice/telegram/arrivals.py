"""What clients sent and truly arrived, counted here and nowhere else."""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from practice.telegram.boxes import Letter

KEEP = 10_000


class Arrivals:
    """Counts by random_id and by the recipient's number; only what a client sent counts, not what people write."""

    def __init__(self) -> None:
        self.by_random_id: dict[int, int] = {}
        self.by_phone: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self.newest: deque[Letter] = deque(maxlen=KEEP)
        self.copies = 0

    def add(self, letter: Letter, phone: str) -> None:
        """Count one message that was taken."""
        self.copies += 1
        self.by_random_id[letter.random_id] = self.by_random_id.get(letter.random_id, 0) + 1
        self.by_phone[phone] += 1
        self.newest.append(letter)

    def counts(self) -> dict[str, Any]:
        """Return the sums: `received` random_ids, `copies` of them, `duplicates` accepted, `refused_repeats`."""
        received = len(self.by_random_id)
        return {
            "received": received,
            "copies": self.copies,
            "duplicates": self.copies - received,
            "refused_repeats": self.refused.total(),
            "recipients": len(self.by_phone),
        }

    def counts_of(self, random_ids: Iterable[int]) -> dict[str, Any]:
        """Return the same sums over a list, with `counts` by random_id."""
        counts = {one: self.by_random_id.get(one, 0) for one in random_ids}
        received, copies = sum(1 for one in counts.values() if one), sum(counts.values())
        refused = sum(self.refused[one] for one in counts)
        return {
            "counts": counts,
            "received": received,
            "copies": copies,
            "duplicates": copies - received,
            "refused_repeats": refused,
        }
