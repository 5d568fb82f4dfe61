"""`kurir login` as a person runs it: a real browser on a practice site, accounts and a channel on a real NATS and store."""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from channelkit.browser import packing
from channelkit.browser.launching import Browsers, Look
from channelkit.browser.settings import BrowserSettings
from channelkit.fake import FakeChannel, FakePlatform
from channelkit.manager import ChannelManager
from channelkit.settings import ChannelSettings
from channelkit.suite.rig import QUICK
from contracts.channels import Channel
from servicekit.auth import Role
from servicekit.bus import Bus

from tests.integration.accounts.conftest import Service, eventually, make_settings, prepare, ready, serve
from tests.integration.channelkit.browser.conftest import LOGGED_IN, PAGE
from tests.support.proxy import Proxy, proxied
from tests.support.servers import NatsServer

LOG_IN = b"""<script>
const noise = Array.from(crypto.getRandomValues(new Uint8Array(60000)), (byte) => byte.toString(16)).join('')
login().then((was) => was[0] || logIn().then(() => { localStorage.history = noise; return fetch('/in') }))
</script>"""
"""With some history, so that the session has more than one piece."""
CHUNK = 4_096
SLOW = 240.0
"""Seconds that a run with a browser may take on a busy machine."""


class Site(ThreadingHTTPServer):
    """A page that logs the visitor in by itself, and tells when it has."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.logins = 0


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.logins += self.path == "/in"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE + LOG_IN if self.path == "/" else b"")

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture
def site():
    server = Site()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
async def service(fresh_nats: NatsServer, mongo_url: str, fresh_db: str, site) -> AsyncIterator[Service]:
    settings = make_settings(
        fresh_nats.url, mongo_url, fresh_db,
        channels="email,instagram", import_chunk_bytes=CHUNK, login_urls={"instagram": site.url},
    )  # fmt: skip
    await prepare(fresh_nats.url, settings)
    async for running in serve(settings):
        yield await ready(running)


@pytest.fixture
async def channel(service: Service) -> AsyncIterator[ChannelManager]:
    """The channel's service: it wants a scan, unless it is given a session."""
    settings = ChannelSettings(
        service="channel-marketplace", nats_url=service.settings.nats_url, address_hmac_keys="one",
        sealing_keys=service.settings.sealing_keys, **QUICK,
    )  # fmt: skip
    bus = Bus(settings)
    manager = ChannelManager(bus, Channel.INSTAGRAM, FakeChannel(FakePlatform(scans=True), Channel.INSTAGRAM), settings)
    await bus.start()
    await manager.start()
    yield manager
    await manager.stop()
    await bus.stop()


@pytest.fixture
async def account(service: Service) -> str:
    body = {
        "name": "Toko Siti", "channel": "instagram",
        "settings": {"username": "tokositi"}, "credentials": {"password": "right"},
    }  # fmt: skip
    return (await service.http.post("/v1/accounts", json=body)).json()["id"]


class Person:
    """Sits before `kurir login`."""

    def __init__(self, service: Service, site: Site, home: Path) -> None:
        self.service, self.site, self.home = service, site, home
        self.url = str(service.http.base_url)
        self.processes: list[asyncio.subprocess.Process] = []
        (home / "tmp").mkdir()

    def environment(self, token: str | None = None) -> dict[str, str]:
        token = token or self.service.token(Role.OPERATOR)["Authorization"].removeprefix("Bearer ")
        return {
            **os.environ, "HOME": str(self.home), "XDG_STATE_HOME": str(self.home / "state"),
            "TMPDIR": str(self.home / "tmp"),
            "KURIR_TOKEN": token, "KURIR_URL": self.url, "KURIR_LOGIN_HEADLESS": "true",
        }  # fmt: skip

    async def start(self, account: str, *more: str, token: str | None = None) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kurir", "login", account, "--json", *more, env=self.environment(token),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.processes.append(process)
        return process

    async def leave(self) -> None:
        """End what a failed test left running."""
        for process in self.processes:
            if process.returncode is None:
                process.terminate()
                await process.wait()

    async def press_enter_once_logged_in(self, process: asyncio.subprocess.Process) -> None:
        before = self.site.logins

        async def logged_in() -> bool:
            return self.site.logins > before or process.returncode is not None

        await eventually(logged_in, SLOW)
        process.stdin.write(b"\n")
        await process.stdin.drain()

    async def end(self, process: asyncio.subprocess.Process) -> tuple[int, dict, str]:
        out, err = await asyncio.wait_for(process.communicate(), SLOW)
        return process.returncode, json.loads(out) if out else {}, err.decode()

    @property
    def profiles(self) -> list[Path]:
        return list((self.home / "tmp").glob("kurir-login-*"))

    @property
    def waiting(self) -> list[Path]:
        return list((self.home / "state/kurir/login").glob("*"))


@pytest.fixture
async def person(service: Service, site: Site, tmp_path) -> AsyncIterator[Person]:
    made = Person(service, site, tmp_path)
    yield made
    await made.leave()


async def seen_in(packed: bytes, folder: Path, site: Site) -> list[bool]:
    """Open a packed profile as the server would, and return what the page finds of its login."""
    packing.unpack(packed, folder)
    browsers = Browsers(BrowserSettings(start_timeout_seconds=60))
    try:
        browser = await browsers.launch(folder, Look())
        await browser.page.goto(site.url)
        found = await browser.page.evaluate("login()")
        await browser.close(20)
    finally:
        await browsers.close()
    return found


async def test_a_login_on_ones_own_computer_makes_the_account_ready(
    person: Person, channel: ChannelManager, account: str, tmp_path
):
    process = await person.start("Toko Siti")
    await person.press_enter_once_logged_in(process)
    code, told, words = await person.end(process)
    assert (code, told["ready"], told["status"], told["import_state"]) == (0, True, "ready", "taken_over"), words
    assert told["account"] == account
    assert "press Enter" in words
    assert not person.waiting + person.profiles, "nothing of the session stays on this computer"
    packed = await channel.kit.vault.load(account)
    assert len(packed) == told["bytes"]
    assert await seen_in(packed, tmp_path / "server", person.site) == LOGGED_IN
    token = person.environment()["KURIR_TOKEN"]
    assert token not in words


async def test_a_run_killed_in_the_middle_of_the_upload_is_gone_on_with(
    person: Person, channel: ChannelManager, account: str, service: Service
):
    with proxied(service.settings.port) as line:
        person.url = f"http://127.0.0.1:{line.port}"
        process = await person.start(account)
        line.delay(0.15)
        await person.press_enter_once_logged_in(process)

        async def some_pieces() -> set[str]:
            imports = await service.ctx.importing.store.of(account)
            return {c.object for c in imports[0].chunks.values()} if imports and len(imports[0].chunks) > 4 else set()

        first = await eventually(some_pieces, SLOW)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        [kept] = person.waiting
        assert kept.stat().st_mode & 0o077 == 0
        assert kept.parent.stat().st_mode & 0o077 == 0
        line.delay(0)
        puts = _count_puts(service)
        code, told, words = await person.end(await person.start(account))
    assert (code, told["ready"]) == (0, True), words
    assert "going on with the session of an earlier run" in words
    total = -(-told["bytes"] // CHUNK)
    assert len(puts) <= total - len(first), "what had come was not sent again"
    assert person.site.logins == 1
    assert not person.waiting


def _count_puts(service: Service) -> list[str]:
    """Return a list that fills with the chunks uploaded from now on."""
    puts: list[str] = []
    keep = service.ctx.importing.pieces.put

    async def counted(of, number, data):
        puts.append(f"{of.id}/{number}")
        return await keep(of, number, data)

    service.ctx.importing.pieces.put = counted
    return puts


async def test_a_cut_line_is_waited_out(person: Person, channel: ChannelManager, account: str, service: Service):
    line: Proxy
    with proxied(service.settings.port) as line:
        person.url = f"http://127.0.0.1:{line.port}"
        process = await person.start(account)
        line.delay(0.1)
        await person.press_enter_once_logged_in(process)

        async def begun() -> bool:
            imports = await service.ctx.importing.store.of(account)
            return bool(imports and imports[0].chunks)

        await eventually(begun, SLOW)
        line.cut()
        await asyncio.sleep(1)  # the time of the outage, not of a proof
        line.heal()
        line.delay(0)
        code, told, words = await person.end(process)
    assert (code, told["ready"]) == (0, True), words


async def test_an_account_whose_service_is_away_gets_the_session_later(person: Person, account: str):
    process = await person.start(account, "--wait", "1")
    await person.press_enter_once_logged_in(process)
    code, told, words = await person.end(process)
    assert (code, told["ready"], told["import_state"]) == (3, False, "complete"), words
    assert not person.waiting


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_run_stopped_before_enter_uploads_nothing_and_leaves_nothing(
    person: Person, account: str, service: Service, number: signal.Signals
):
    process = await person.start(account)

    async def logged_in() -> bool:
        return person.site.logins > 0

    await eventually(logged_in, SLOW)
    process.send_signal(number)
    code, _, words = await person.end(process)
    assert code == 1, words
    assert "nothing was handed over" in words
    assert not person.waiting + person.profiles
    assert not await service.ctx.importing.store.of(account)


async def test_the_profile_of_a_run_that_was_killed_goes_with_the_next_run(person: Person, account: str):
    process = await person.start(account)

    async def logged_in() -> bool:
        return person.site.logins > 0

    await eventually(logged_in, SLOW)
    process.kill()
    await process.wait()
    assert len(person.profiles) == 1
    process = await person.start(account, "--wait", "0")
    await person.press_enter_once_logged_in(process)
    assert (await person.end(process))[0] == 3
    assert not person.profiles


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("viewer", "an operator's is needed"),
        ("stranger", "the token is not valid"),
        ("email", "does not log in with a browser"),
        ("nobody", "no account is named"),
    ],
)
async def test_what_cannot_work_is_said_before_a_browser_opens(
    person: Person, service: Service, account: str, what: str, words: str
):
    token = service.token(Role.VIEWER)["Authorization"].removeprefix("Bearer ") if what == "viewer" else None
    named = {"email": (await service.create())["id"], "nobody": "Nobody"}.get(what, account)
    process = await person.start(named, token="x.y.z" if what == "stranger" else token)
    code, _, said = await person.end(process)
    assert (code, words in said) == (1, True), said
    assert person.site.logins == 0


async def test_a_session_is_not_sent_over_an_open_line(person: Person, account: str):
    person.url = "http://kurir.example/accounts"
    code, _, said = await person.end(await person.start(account))
    assert (code, "is not encrypted" in said) == (1, True), said
