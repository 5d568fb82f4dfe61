"""A real headless browser, a folder of profiles, and a page that keeps its login as WhatsApp's does."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from channelkit.browser import processes
from channelkit.browser.launching import Browsers, Look
from channelkit.browser.profile import ProfileFolder
from channelkit.browser.settings import BrowserSettings
from channelkit.fake import FakeChannel, FakePlatform
from channelkit.hosting import SessionHost
from channelkit.manager import ChannelManager
from channelkit.protocol import Credentials
from channelkit.reporting import Reporter
from channelkit.settings import ChannelSettings
from contracts.channels import Channel
from contracts.state import DesiredAccount
from contracts.topology import topology as contracts_topology
from servicekit import topology
from servicekit.secrets import generate_key

PAGE = b"""<!doctype html><title>practice</title><h1>practice</h1><script>
const store = (mode, work) => new Promise((done, failed) => {
  const request = indexedDB.open('login', 1)
  request.onupgradeneeded = () => request.result.createObjectStore('keys')
  request.onsuccess = () => {
    const transaction = request.result.transaction('keys', mode), answer = work(transaction.objectStore('keys'))
    transaction.oncomplete = () => { request.result.close(); done(answer.result) }
    transaction.onerror = failed
  }
})
async function logIn() {
  const key = await crypto.subtle.generateKey({name: 'AES-GCM', length: 256}, false, ['encrypt'])
  await store('readwrite', (keys) => keys.put(key, 'key'))
  localStorage.login = 'yes'
  document.cookie = 'login=yes; max-age=86400'
}
async function login() {
  const key = await store('readonly', (keys) => keys.get('key'))
  return [key instanceof CryptoKey && !key.extractable, localStorage.login === 'yes', document.cookie === 'login=yes']
}
</script>"""
LOGGED_IN = [True, True, True]


class Site(ThreadingHTTPServer):
    """Serves the page, and remembers what headers came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.headers = {}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/":
            self.server.headers = dict(self.headers)
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture
def site():
    server = Site()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
async def host(bus):
    """A session's real host on a real NATS: what a channel's session is given."""
    channel = Channel.WHATSAPP
    await topology.apply(bus.js, contracts_topology([channel]))
    settings = ChannelSettings(
        service="channel-whatsapp", sealing_keys=generate_key(), address_hmac_keys="one", heartbeat_ttl_seconds=60
    )
    kit = ChannelManager(bus, channel, FakeChannel(FakePlatform()), settings).kit
    await kit.members.beat(0)
    await kit.members.look()
    assert await kit.leases.acquire_one("acc")
    account = DesiredAccount(account_id="acc", channel=channel, version=1, status="active")
    reporter = Reporter(kit.bus, kit.journal, channel, "acc", kit.members.replica, sealer=kit.sealer)
    return SessionHost(kit, reporter, account, Credentials(), lambda _: None)


@pytest.fixture
def browser_settings(tmp_path):
    return BrowserSettings(profiles=tmp_path / "profiles", start_timeout_seconds=60, close_timeout_seconds=20)


@pytest.fixture
async def browsers(browser_settings):
    found = Browsers(browser_settings)
    yield found
    await found.close()


@pytest.fixture
def folder(browser_settings):
    folder = ProfileFolder(browser_settings.profiles, "acc")
    folder.lock()
    folder.mark(folder.fresh())
    yield folder
    processes.kill(folder.profile)
    folder.unlock()


@pytest.fixture
async def browser(browsers, folder, site):
    running = await browsers.launch(folder.profile, Look())
    await running.page.goto(site.url)
    yield running
    await running.kill()
