"""What people want of a channel's accounts: the watched bucket `accounts_<channel>`."""

from collections.abc import Callable

from contracts import subjects
from contracts.channels import Channel
from contracts.state import ALL, DesiredAccount, WorkerSwitch
from pydantic import RootModel
from servicekit.bus import Bus
from servicekit.errors import Permanent
from servicekit.kv import Bucket, BucketWatch
from servicekit.logs import get_logger

_log = get_logger("channelkit.desired")


class _Entry(RootModel[DesiredAccount | WorkerSwitch]):
    """The bucket holds accounts, and under `_all` the worker switch for all."""


class Desired:
    """The accounts of a channel as last heard; *changed* is told the id, or None for a change that concerns all."""

    def __init__(self, bus: Bus, channel: Channel, changed: Callable[[str | None], None]) -> None:
        self._channel, self._changed = channel, changed
        name = subjects.bucket("accounts", channel)
        self._bucket = Bucket(bus, name, _Entry)
        self.watch = BucketWatch(bus, name, _Entry, self._on_change)
        self._accounts: dict[str, DesiredAccount] = {}
        self._worker = True
        self._stopping = False

    def stop_workers(self) -> None:
        """From now on every worker counts as off here: this process is about to end."""
        self._stopping = True

    def get(self, account_id: str) -> DesiredAccount | None:
        """Return what is wanted of an account, None where it is gone."""
        return self._accounts.get(account_id)

    def all(self) -> list[DesiredAccount]:
        """Return every account, inactive ones too."""
        return list(self._accounts.values())

    def worker_on(self, account_id: str) -> bool:
        """Return whether the account's worker is on and the switch for all as well."""
        account = self._accounts.get(account_id)
        return self._worker and not self._stopping and account is not None and account.worker

    async def exists(self, account_id: str) -> bool:
        """Ask the bucket itself, for decisions that destroy; what cannot be read exists. Raises Unavailable."""
        try:
            return await self._bucket.get(account_id) is not None
        except Permanent:
            return True

    async def was_deleted(self, account_id: str) -> bool:
        """Return whether somebody deleted it; not so in a bucket made anew, until accounts has projected it again.

        Raises Unavailable.
        """
        return await self._bucket.was_deleted(account_id)

    def _on_change(self, key: str, entry: _Entry | None, revision: int) -> None:  # noqa: ARG002  # the watch's form
        value = entry.root if entry else None
        if key == ALL:
            self._worker = value.worker if value else True
            self._changed(None)
        elif value is None:
            self._accounts.pop(key, None)
            self._changed(key)
        elif isinstance(value, DesiredAccount) and (value.account_id, value.channel) == (key, self._channel):
            self._accounts[key] = value
            self._changed(key)
        else:
            _log.error("a desired account of another shape, id or channel is ignored", account=key)
