"""Who takes how many accounts: pure rules behind the leases."""

from collections.abc import Iterable, Mapping

from contracts.state import Heartbeat, Lease

FREE = "_free"
"""The replica of a lease nobody holds: released, its epoch kept so that the next holder's is higher."""


def fair_share(accounts: int, mine: int, rooms: Iterable[int]) -> int:
    """Return how many accounts a replica with room for *mine* should hold, among all living replicas' rooms.

    The level rises for everybody alike until all accounts have a place: a full replica's share goes to the others,
    and nobody is asked for more than its room.
    """
    open_rooms = sorted(rooms)
    left = accounts
    while open_rooms:
        level = -(-left // len(open_rooms))
        if open_rooms[0] >= level:
            return min(level, mine)
        left -= open_rooms.pop(0)
    return mine


def free_accounts(wanted: Iterable[str], leases: Mapping[str, Lease], alive: Mapping[str, Heartbeat]) -> list[str]:
    """Return the wanted accounts nobody living holds, in the order given."""
    return [a for a in wanted if (lease := leases.get(a)) is None or lease.replica not in alive]


def surplus(mine: Iterable[str], share: int) -> list[str]:
    """Return what to hand over, the same choice each time it is asked."""
    return sorted(mine)[max(share, 0) :]
