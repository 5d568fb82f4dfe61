"""Telegram: the lane beside a bare Telethon loop on the same practice server, and what accounts weigh that only listen.

The real service on a real NATS; no store in the way. Loop and lane take turns, so that a busy machine slows both. To
strangers each message costs Telegram two requests, the contact and the message; to people written to before, one.
"""

import asyncio
import json
import sys
from pathlib import Path

import psutil
from channel_telegram.model import Place
from channel_telegram.vaultform import VaultForm
from channelkit.settings import ChannelSettings
from channelkit.vault import Vault
from contracts.channels import Channel
from contracts.commands import Content
from contracts.state import Pace
from practice.telegram import Running, running
from servicekit.bus import Bus
from servicekit.secrets import channel_sealer

from tests.bench.channel import TEXT, Account, Bench, channel, until
from tests.bench.measure import Figure, at_least, folder

ROUNDS, COUNT, AT_ONCE = 3, 1_000, 8
KNOWN = 500
"""Fewer than an account keeps in memory (CHANNEL_TELEGRAM_PEERS_KEPT): the others are looked up in NATS."""
AIM = 0.6
IDLE, IDLE_MB = 1_000, 250.0
_SHOPS, _PEOPLE = 628_990_000_000, 628_110_000_000
_LOOP = "a bare Telethon loop"
_SETTLE_SECONDS = 10.0


class TelegramBench(Bench):
    """Writes to people by their phone numbers: the same ones again after KNOWN of them, where told so."""

    again: bool = False

    def recipient(self, name: str, number: int) -> str:  # noqa: ARG002  # all belong to one account
        """Return whom that message goes to."""
        return f"+{_PEOPLE + (number % KNOWN if self.again else number)}"

    def content(self, number: int) -> Content:  # noqa: ARG002  # it is a chat: no subject, and the text alone
        """Return what it says."""
        return Content(text=TEXT)


async def measure() -> list[Figure]:
    """Return the lane's ratio to the loop, to strangers and to people known, and the memory of idle accounts."""
    with folder() as path:
        async with running(key_file=str(path / "key.pem"), reply_delay=0) as telegram:
            await telegram.client.set_rules({"pattern": "+62*"})
            return [*await _lane(telegram), *await _idle(telegram)]


def _service(telegram: Running) -> dict[str, str]:
    at = telegram.ports
    return {
        "CHANNEL_TELEGRAM_DC": f"{at.host}:{at.port}", "CHANNEL_TELEGRAM_SERVER_KEY_FILE": at.key_file,
        "CHANNEL_TELEGRAM_API_ID": "1", "CHANNEL_TELEGRAM_API_HASH": "bench", "KURIR_PRACTICE": "true",
    }  # fmt: skip


async def _lane(telegram: Running) -> list[Figure]:
    async with channel(of=Channel.TELEGRAM, kind=TelegramBench, **_service(telegram)) as bench:
        await _signed_in(bench, telegram, [0])
        name, found = "acc_0000", []
        for again in (False, True):
            bench.again = again  # type: ignore[attr-defined]
            if again:
                await bench.run(name, COUNT)  # as the loop does: else it had written to others since, and looks them up
            loops, lanes = [], []
            for turn in range(ROUNDS):
                loops.append(await _loop(telegram, turn, again=again))
                lanes.append(await bench.run(name, COUNT))
            to = "people written to before" if again else "strangers"
            rate, cpu = sorted(one.per_second for one in lanes)[1], sorted(one.cpu_us for one in lanes)[1]
            beside = sorted(one["per_second"] for one in loops)[1]
            loop_cpu = sorted(one["cpu_us"] for one in loops)[1]
            found += [
                at_least(f"Telegram: one account to {to}", rate, "messages/s", baseline=beside, aim=AIM, what=_LOOP),
                Figure(f"Telegram: CPU of the channel's process, to {to}", cpu, "us/message", loop_cpu, cpu / loop_cpu),
            ]
        return found


async def _loop(telegram: Running, turn: int, *, again: bool) -> dict[str, float]:
    """Run the loop with a login and, as strangers, with people of its own."""
    first = _PEOPLE + 50_000_000 + (0 if again else turn * COUNT)
    login = await telegram.client.make_login(f"+{_SHOPS + 9_000 + turn + 10 * again}")
    script = Path(__file__).with_name("bare_telethon.py")
    at = telegram.ports
    people = [str(first), str(COUNT), "known" if again else "new"]
    command = [sys.executable, str(script), at.key_file, f"{at.host}:{at.port}", login["auth_key"], *people]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    text, _ = await process.communicate()
    found: dict[str, float] = json.loads(text)
    return found


async def _idle(telegram: Running) -> list[Figure]:
    """Return what accounts weigh that are signed in and have nothing to do."""
    async with channel(of=Channel.TELEGRAM, **_service(telegram)) as bench:
        await asyncio.sleep(2)
        before = _pss_mb(bench.process)
        await _signed_in(bench, telegram, range(IDLE))
        await asyncio.sleep(_SETTLE_SECONDS)
        total = _pss_mb(bench.process)
        return [
            Figure(
                f"Telegram: memory of a channel's process with {IDLE:,} idle accounts", total, "MB PSS",
                aim=f"<= {IDLE_MB:g} MB", met=total <= IDLE_MB,
            ),
            Figure("Telegram: memory per idle account", (total - before) / IDLE * 1e3, "kB PSS"),
        ]  # fmt: skip


async def _signed_in(bench: Bench, telegram: Running, numbers: "range | list[int]") -> None:
    """Put logins made by the practice Telegram into the vault, as the channel seals them, and let the accounts open."""
    settings = ChannelSettings(service="bench", nats_url=bench.server.url, sealing_keys=bench.key)  # type: ignore[arg-type]
    bus = Bus(settings)
    await bus.start()
    await until(lambda: _connected(bus))
    vault = Vault(bus, Channel.TELEGRAM, channel_sealer(settings, Channel.TELEGRAM))
    try:
        for number in numbers:
            await _keep(vault, telegram, number)
    finally:
        await bus.stop()
    pace = Pace(connections=AT_ONCE)
    await bench.open(*(Account(f"acc_{n:04d}", {"client_id": f"+{_SHOPS + n}"}, pace) for n in numbers))


async def _connected(bus: Bus) -> bool:
    return bus.connected


async def _keep(vault: Vault, telegram: Running, number: int) -> None:
    phone = f"+{_SHOPS + number}"
    made = await telegram.client.make_login(phone)
    form = VaultForm(phone=phone, login_version=1, user_id=made["user_id"])
    form = form.at(Place(made["dc"], made["host"], made["port"]), bytes.fromhex(made["auth_key"]))
    await vault.save(f"acc_{number:04d}", form.model_dump_json().encode(), 1)


def _pss_mb(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss) / 1e6
