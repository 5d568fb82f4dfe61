"""The pipe where something goes wrong on this side of it: whoever else waits hears of its own message all the same."""

import asyncio

import pytest
from servicekit.burst import Burst
from servicekit.direct import pub
from servicekit.pipe import Pipe


@pytest.fixture
async def short(bus):
    """A pipe with one place in its window that waits for a fifth of a second; nobody answers on `silent`."""
    pipe = Pipe(bus.nc, window=1, timeout=0.2)
    await pipe.start()
    await bus.nc.subscribe("silent")
    yield pipe
    await pipe.stop()


@pytest.mark.parametrize("how", ["expires", "stops"])
async def test_a_callback_that_fails_keeps_no_other_from_hearing(bus, short, how):
    heard = []

    def fails(*_) -> None:
        raise ValueError("bad")

    short.post(b"silent", b"1", fails)
    short.post(b"silent", b"2", lambda _, error: heard.append(error))
    if how == "stops":
        await short.stop()
    await asyncio.sleep(0.4)
    assert len(heard) == 1


async def test_what_cannot_be_written_down_leaves_its_place_in_the_window(short):
    """Half a surrogate pair, as it comes out of a JSON text, is no UTF-8."""
    for _ in range(2):
        async with asyncio.timeout(1):
            with pytest.raises(UnicodeEncodeError):
                await (await short.publish("silent", b"x", {"name": "\ud83d"}))


async def test_a_burst_that_gets_an_answer_nobody_understands_ends(bus):
    """Somebody else than a stream answers."""

    async def answer(msg) -> None:
        bus.direct.write(pub(msg.reply.encode(), b"", b"not JSON"))

    await bus.nc.subscribe("strange", cb=answer)
    burst = Burst(bus.pipe)
    await burst.post(b"strange", b"x", b"")
    async with asyncio.timeout(2):
        with pytest.raises(ValueError, match="expected"):
            await burst.end()
