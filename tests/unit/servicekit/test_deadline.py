"""A deadline ends what takes too long, as `asyncio.timeout` does, and nothing else."""

import asyncio
import time

import pytest
from servicekit.deadline import Deadline


async def test_what_is_in_time_is_left_alone_however_often():
    deadline = Deadline()
    for _ in range(50):
        with deadline(0.05):
            await asyncio.sleep(0.002)
    await asyncio.sleep(0.1)


async def test_what_is_late_raises_and_the_next_goes_on():
    deadline = Deadline()
    with deadline(10):
        await asyncio.sleep(0)
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(TimeoutError), deadline(0.05):
            await asyncio.sleep(5)
        assert 0.04 < time.monotonic() - began < 1
    with deadline(1):
        await asyncio.sleep(0.01)


async def test_a_limit_moved_on_while_its_timer_ran_counts_from_its_own_start():
    deadline, began = Deadline(), time.monotonic()
    with deadline(1):
        await asyncio.sleep(0.5)
    with pytest.raises(TimeoutError), deadline(1):
        await asyncio.sleep(5)
    assert 1.4 < time.monotonic() - began < 4


async def test_anybody_elses_cancellation_stays_one():
    async def limited() -> None:
        with Deadline()(5):
            await asyncio.sleep(5)

    task = asyncio.create_task(limited())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_both_at_once_is_a_cancellation():
    async def limited() -> None:
        with Deadline()(0.01):
            try:
                await asyncio.sleep(5)
            finally:
                asyncio.current_task().cancel()
                await asyncio.sleep(0.01)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(limited())


async def test_two_of_them_are_independent():
    outer, inner = Deadline(), Deadline()

    async def naps() -> None:
        with outer(0.05):
            for _ in range(100):
                with inner(0.5):
                    await asyncio.sleep(0.01)

    with pytest.raises(TimeoutError):
        await naps()
    with outer(0.5), pytest.raises(TimeoutError), inner(0.02):
        await asyncio.sleep(5)
