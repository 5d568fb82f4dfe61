"""What belongs to no account: commands nobody would take, and traces nobody would remove (one replica at a time)."""

from collections.abc import Awaitable

from contracts import subjects
from contracts.headers import CONSUMER, ERROR, STREAM_SEQUENCE
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError
from servicekit.bus_errors import translated
from servicekit.clock import boottime
from servicekit.errors import KurirError
from servicekit.logs import get_logger

from channelkit.drain import drain
from channelkit.kit import Kit
from channelkit.removal import REASON, clean_account

LEASE = "_sweeper"
_VAULT_EVERY_SECONDS = 3600.0
_log = get_logger("channelkit.sweeper")


class Sweeper:
    """Sweeps one channel while it holds the sweeper's lease."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._vault_at = boottime()

    async def sweep(self) -> None:
        """Drain subjects without an account, dead-letter those of no known shape, remove orphaned keys and sessions."""
        kit = self._kit
        if not (kit.desired.watch.ready.is_set() and kit.freshness.fresh()):
            return  # who does not know the accounts must not judge
        if not await kit.leases.acquire_one(LEASE):
            return
        for subject in await self._subjects():
            await _one_by_one(self._judge(subject))
        for account_id in await self._traces():
            # a bucket made anew knows nobody yet: what was restored beside it must live until accounts has projected
            if kit.desired.get(account_id) is None and await kit.desired.was_deleted(account_id):
                _log.info("removing the traces of an account that is gone", account=account_id)
                await _one_by_one(clean_account(kit, account_id))
        if boottime() >= self._vault_at:
            self._vault_at = boottime() + _VAULT_EVERY_SECONDS
            await kit.vault.collect(self._exists, kit.settings.orphan_days * 86_400)

    async def leave(self) -> None:
        """Let another replica sweep."""
        await self._kit.leases.release(LEASE)

    async def _subjects(self) -> list[str]:
        stream = subjects.commands_stream(self._kit.channel)
        with translated(stream):
            info = await self._kit.bus.js.stream_info(stream, subjects_filter=f"cmd.{self._kit.channel}.>")
        return list(info.state.subjects or {})

    async def _judge(self, subject: str) -> None:
        known = subjects.parse_send(subject)
        if known is None:
            await self._dead_letter(subject)
        elif not await self._exists(known[1]):
            await drain(self._kit.bus, self._kit.channel, known[1], REASON, "the account does not exist")

    async def _exists(self, account_id: str) -> bool:
        return self._kit.desired.get(account_id) is not None or await self._kit.desired.exists(account_id)

    async def _traces(self) -> list[str]:
        kit, found = self._kit, set[str]()
        for bucket in (kit.lanes, kit.cursors, kit.sessions):
            found.update(await bucket.keys_like("*"))
        found.update(key for key in kit.leases.known() if not key.startswith("_"))
        return sorted(found)

    async def _dead_letter(self, subject: str) -> None:
        """Move every message of *subject* to the dead letters: first there, then gone here."""
        js, stream = self._kit.bus.js, subjects.commands_stream(self._kit.channel)
        while message := await self._first(stream, subject):
            headers = {
                **{k: v for k, v in (message.headers or {}).items() if not k.lower().startswith("nats-")},
                ERROR: "unknown subject or version",
                CONSUMER: "sweeper",
                STREAM_SEQUENCE: str(message.seq),
            }
            await self._kit.bus.publish(
                subjects.dead_letter(subject), message.data or b"", msg_id=f"{stream}.{message.seq}", headers=headers
            )
            with translated(stream):
                await js.delete_msg(stream, message.seq or 0)

    async def _first(self, stream: str, subject: str) -> RawStreamMsg | None:
        try:
            with translated(stream):
                return await self._kit.bus.js.get_msg(stream, seq=1, subject=subject, next=True)
        except NotFoundError:
            return None


async def _one_by_one(work: Awaitable[object]) -> None:
    try:
        await work
    except KurirError as error:
        _log.warning("swept again next time", error=str(error))
