"""Where nats-py 2.16 would leave a connection dead that could go on."""
# ruff: noqa: SLF001  # its private names are what is repaired

import asyncio

import nats.errors
from nats.aio.client import Client

_THEIRS = ("permissions violation", "stale connection")
"""Errors that nats-py handles well: it goes on, or connects again."""


def apply(nc: Client) -> None:
    """Repair a connection."""
    _forgive_cancelled_flushes(nc)
    _return_after_errors(nc)


def _forgive_cancelled_flushes(nc: Client) -> None:
    """Keep nats-py's read loop alive: 2.16 answers a flush that was cancelled, raises, and stops reading for 9 s."""
    process = nc._process_pong

    async def process_pong() -> None:
        if nc._pongs and nc._pongs[0].done():
            nc._pongs[0] = asyncio.get_running_loop().create_future()
        await process()

    nc._process_pong = process_pong  # type: ignore[method-assign]


def _return_after_errors(nc: Client) -> None:
    """Connect again after an error of the protocol: nats-py 2.16 closes for good, and nothing would ever leave again."""
    process = nc._process_err

    async def process_err(err_msg: str) -> None:
        if not nc.is_connected or any(known in err_msg for known in _THEIRS):
            await process(err_msg)
        else:
            error = nats.errors.Error(f"nats: {err_msg}")
            await nc._error_cb(error)
            await nc._process_op_err(error)

    nc._process_err = process_err  # type: ignore[method-assign]
