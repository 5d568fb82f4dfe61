"""Files that come in on a bad day: a wait, a server's trouble, a data centre that knows us not; the file is kept all the same."""

import pytest
from contracts.inbox import Received

from tests.support.recorder import eventually


@pytest.mark.parametrize("error", ["FLOOD_WAIT_1", "FLOOD_PREMIUM_WAIT_1", "RPC_CALL_FAIL", "AUTH_KEY_UNREGISTERED"])
async def test_a_passing_refusal_costs_no_file_and_no_login(telegram, signed_in, me, to, error):
    _, host = signed_in
    data = b"0123456789" * 150_000
    fault = {"error": error, "method": "upload.getFile", "after": 1, "times": 1}  # in the middle of the file
    await telegram.client.set_faults(refuse=fault)
    await telegram.client.write(to, me, "berkas", media={"name": "a.pdf", "data": data})
    await telegram.client.write(to, me, "sesudahnya")
    await eventually(lambda: len(host.texts()) == 2, what=f"both ({host.texts()}, {host.reports})")
    event = next(one for one in host.of(Received) if one.text == "berkas")
    assert event.stub is None, host.dead
    assert host.media[event.attachments[0].object] == data
    assert host.status == "ready"


async def test_a_server_that_never_recovers_holds_nobody_up(telegram, signed_in, me, to):
    _, host = signed_in
    await telegram.client.set_faults(refuse={"error": "RPC_CALL_FAIL", "method": "upload.getFile"})
    await telegram.client.write(to, me, "berkas", media={"name": "a.pdf", "data": b"x" * 100})
    await telegram.client.write(to, me, "sesudahnya")
    await eventually(lambda: len(host.texts()) == 2)
    assert host.of(Received)[0].stub == "unreadable"
    assert (await telegram.client.calls())["upload.getFile"] >= 2
