"""Apply or check the bus's streams and buckets."""

import nats
from contracts.channels import Channel
from contracts.topology import topology as wanted
from nats.aio.client import Client
from servicekit import topology as rules
from servicekit.errors import KurirError

from kurir.home import Trouble
from kurir.services import subscribed


async def apply(nats_url: str, channels: tuple[Channel, ...] = ()) -> None:
    """Create or update every stream, bucket and object store of *channels*, none: of those this deployment has.

    Raises Trouble where it would lose data.
    """
    connection = await connect(nats_url)
    try:
        await rules.apply(connection.jetstream(timeout=15), wanted(channels or subscribed()))
    except KurirError as error:
        raise Trouble(error.detail) from error
    finally:
        await connection.close()


async def check(nats_url: str, channels: tuple[Channel, ...] = ()) -> list[str]:
    """Return what differs from the table of contracts, a line each."""
    connection = await connect(nats_url)
    try:
        return await rules.check(connection.jetstream(timeout=15), wanted(channels or subscribed()))
    except KurirError as error:
        raise Trouble(error.detail) from error
    finally:
        await connection.close()


async def connect(nats_url: str) -> Client:
    """Return a connection; raises Trouble where no server answers."""
    try:
        return await nats.connect(
            nats_url, connect_timeout=5, max_reconnect_attempts=2, allow_reconnect=False, error_cb=_raised_anyway
        )
    except Exception as error:
        where = nats_url.rpartition("@")[2]
        raise Trouble(f"no NATS server answers at {where}: {error}") from error


async def _raised_anyway(_: Exception) -> None:
    """Keep nats-py from printing a traceback of each try."""
