"""Which numbers of a batch can be settled by one range update, and which one by one. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

MOST_HOLES = 200
LARGEST_GAP = 64
SMALLEST_RANGE = 16
"""A range update reads the whole batch: below this many rows single updates by id are cheaper."""


@dataclass(frozen=True)
class Stretch:
    """All numbers heard lie from first to last; `holes` were not heard and must not be touched."""

    first: int
    last: int
    heard: int
    holes: tuple[int, ...]

    @property
    def where(self) -> dict[str, object]:
        """Return the condition on `number` that covers what was heard, and nothing else."""
        around = {"$gte": self.first, "$lte": self.last}
        return {**around, "$nin": list(self.holes)} if self.holes else dict(around)


def stretches(numbers: Iterable[int]) -> tuple[list[Stretch], list[int]]:
    """Return ranges, and the numbers left for single updates."""
    ranges: list[Stretch] = []
    singles: list[int] = []
    for run in _runs(sorted(set(numbers))):
        if len(run) < SMALLEST_RANGE:
            singles.extend(run)
        else:
            there = set(run)
            holes = tuple(n for n in range(run[0], run[-1] + 1) if n not in there)
            ranges.append(Stretch(run[0], run[-1], len(run), holes))
    return ranges, singles


def _runs(numbers: list[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    holes = 0
    for number in numbers:
        gap = number - runs[-1][-1] - 1 if runs else 0
        if not runs or gap > LARGEST_GAP or holes + gap > MOST_HOLES:
            runs.append([])
            holes = gap = 0
        runs[-1].append(number)
        holes += gap
    return runs
