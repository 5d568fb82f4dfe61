"""The proxy of the fault tests does to a connection what it says."""

import asyncio
import time

import pytest

from tests.support.proxy import proxied


@pytest.fixture
async def echo():
    async def answer(reader, writer):
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def proxy(echo):
    with proxied(echo) as found:
        yield found


async def connect(proxy):
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def ask(connection, line=b"hello\n", seconds=5):
    reader, writer = connection
    writer.write(line)
    return await asyncio.wait_for(reader.readline(), seconds)


async def test_it_passes(proxy):
    assert await ask(await connect(proxy)) == b"hello\n"


async def test_a_cut_resets_what_is_open_and_what_comes_until_healed(proxy):
    connection = await connect(proxy)
    await ask(connection)
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        await ask(connection)
    with pytest.raises(ConnectionResetError):
        await ask(await connect(proxy))
    proxy.heal()
    assert await ask(await connect(proxy)) == b"hello\n"


async def test_a_black_hole_answers_nothing_and_delivers_when_healed(proxy):
    connection = await connect(proxy)
    await ask(connection)
    proxy.black_hole()
    with pytest.raises(TimeoutError):
        await ask(connection, b"late\n", 0.3)
    with pytest.raises(TimeoutError):
        await ask(await connect(proxy), seconds=0.3)
    proxy.heal()
    assert await connection[0].readline() == b"late\n"


async def test_a_delay_holds_each_way(proxy):
    connection = await connect(proxy)
    proxy.delay(0.1)
    started = time.monotonic()
    await ask(connection)
    assert time.monotonic() - started >= 0.2


async def test_a_server_that_is_down_looks_reset_through_it():
    with proxied(1) as nobody, pytest.raises(ConnectionResetError):
        await ask(await connect(nobody))
