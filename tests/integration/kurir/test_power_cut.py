"""What a power cut may take is a setting: it reaches the NATS server that `kurir up` starts."""

import httpx
import pytest
from kurir.home import Home, Trouble
from kurir.infrastructure import nats_command

from tests.support.processes import Server, free_port

SECOND = 1_000_000_000


def storage(home: Home) -> dict[str, object]:
    """Return what a server, started as `kurir up` does, says of its storage."""
    home.open()
    port = free_port()
    command = [*nats_command(home, free_port(), "a-password"), "-m", str(port)]
    server = Server("nats-server", command, port, home.logs / "nats.log", lambda at: asked(at, "healthz"))
    server.start()
    try:
        return asked(port, "varz")["jetstream"]["config"]
    finally:
        server.stop()


def asked(port: int, page: str) -> dict:
    return httpx.get(f"http://127.0.0.1:{port}/{page}").raise_for_status().json()


def test_what_was_acknowledged_is_on_the_disk_a_second_later(tmp_path, monkeypatch):
    monkeypatch.delenv("KURIR_NATS_SYNC_INTERVAL", raising=False)
    found = storage(Home(tmp_path / "kurir"))
    assert found["sync_interval"] == SECOND
    assert not found.get("sync_always")


def test_always_means_before_each_acknowledgement(tmp_path, monkeypatch):
    monkeypatch.setenv("KURIR_NATS_SYNC_INTERVAL", "always")
    assert storage(Home(tmp_path / "kurir"))["sync_always"] is True


def test_any_other_time_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("KURIR_NATS_SYNC_INTERVAL", "250ms")
    assert storage(Home(tmp_path / "kurir"))["sync_interval"] == SECOND // 4


@pytest.mark.parametrize("value", ["sometimes", "", "0s", "1s }"])
def test_what_is_no_time_is_refused_in_words(tmp_path, monkeypatch, value):
    monkeypatch.setenv("KURIR_NATS_SYNC_INTERVAL", value)
    home = Home(tmp_path / "kurir")
    home.open()
    with pytest.raises(Trouble, match="KURIR_NATS_SYNC_INTERVAL"):
        nats_command(home, free_port(), "a-password")
