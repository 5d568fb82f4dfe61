"""Small lasting facts of an account, such as a peer's access hash: sealed, beside the account's cursor."""

import re

from contracts import subjects
from contracts.channels import Channel
from contracts.state import Memo
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.kv import Bucket
from servicekit.secrets import Sealer

_KEY = re.compile(r"[A-Za-z0-9_=-]{1,120}")


class Memos:
    """The facts of one channel's accounts, one key each; a sealed text names its account and its key."""

    def __init__(self, bus: Bus, channel: Channel, sealer: Sealer) -> None:
        self._sealer = sealer
        self._bucket = Bucket(bus, subjects.bucket("cursors", channel), Memo)

    async def remember(self, account_id: str, key: str, value: bytes) -> None:
        """Keep *value*; the last write wins. Raises Unavailable."""
        sealed = self._sealer.seal(value, _context(account_id, key))
        await self._bucket.put(memo_key(account_id, key), Memo(sealed=sealed, at=utcnow()))

    async def recall(self, account_id: str, key: str) -> bytes | None:
        """Return what was kept, None where nothing was. Raises SealError, Unavailable."""
        found = await self._bucket.get(memo_key(account_id, key))
        return self._sealer.open(found.value.sealed, _context(account_id, key)) if found else None

    async def purge(self, account_id: str) -> None:
        """Forget everything of an account. Raises Unavailable."""
        await self._bucket.purge_prefix(f"{account_id}.memo")


def memo_key(account_id: str, key: str) -> str:
    """Return the bucket's key of an account's fact. Raises ValueError for a key of other characters."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not the key of a memo: {key[:130]!r}")
    return f"{account_id}.memo.{key}"


def _context(account_id: str, key: str) -> str:
    return f"memo/{account_id}/{key}"
