"""Two Kurirs started together may choose the same port: the one that loses must not take the other's for its own."""

import http.server
import json
import threading
from pathlib import Path

import pytest
from kurir import platform, status
from kurir.home import Home, Trouble
from kurir.ports import Ports

from tests.support.processes import free_port

ENDPOINT = "accounts"


@pytest.fixture
def foreign():
    """Answer as a service that is all right, and somebody else's."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            said = {"status": "ok", "instance": self.server.instance, "dependencies": {}}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    server.instance = "accounts-somebody"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


class Alive:
    """A child that could not bind and is started again and again."""

    name, pid, log = ENDPOINT, 1, "accounts.log"

    def __init__(self, port) -> None:
        self.port = port


async def test_up_does_not_take_anothers_service_for_its_own(tmp_path, foreign, monkeypatch):
    monkeypatch.setattr(platform, "READY_SECONDS", 1.0)
    home = Home(tmp_path / "mine")
    mine = platform.Platform(home, home.open(), platform.Options())
    mine.children.append(Alive(foreign.server_address[1]))
    with pytest.raises(Trouble, match="another program answers on its port"):
        await mine._ready(ENDPOINT)
    foreign.instance = home.instance(ENDPOINT)
    await mine._ready(ENDPOINT)


def test_status_does_not_call_anothers_service_ready(tmp_path, foreign):
    home = Home(tmp_path / "mine")
    url = f"http://127.0.0.1:{foreign.server_address[1]}"
    found = status._service(ENDPOINT, url, {"processes": {}}, home)
    assert (found["ready"], found["trouble"][:15]) == (False, "another program")
    foreign.instance = home.instance(ENDPOINT)
    assert status._service(ENDPOINT, url, {"processes": {}}, home)["ready"]


def test_two_kurirs_choosing_at_once_choose_different_ports():
    mine, other = Ports(), Ports()
    usual = mine.take()
    mine.release()
    taken = mine.take(usual)
    assert taken == usual
    assert other.take(usual) != usual  # nobody listens there yet
    mine.release()
    assert other.take(usual) == usual
    other.release()


def test_a_port_is_none_that_the_kernel_gives_to_others_before_its_part_listens():
    ports = Ports()
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    taken = [ports.take() for _ in range(200)]
    ports.release()
    assert len(set(taken)) == 200
    assert not [one for one in taken if first <= one <= last]
