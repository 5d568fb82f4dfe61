"""The practice Telegram in a process of its own, for tests and for local use."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from practice.mail.process import START_SECONDS, arguments, stop
from practice.telegram.client import TelegramPractice
from practice.telegram.platform import Ports


@dataclass(frozen=True, slots=True)
class Running:
    """A platform in another process: its ports and a client of its API."""

    ports: Ports
    client: TelegramPractice
    process: Process


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[Running]:
    """Run the platform in a subprocess until the block ends; options are those of the command line.

    Raises RuntimeError when it does not come up (a port is taken); its own error is on stderr.
    """
    command = [sys.executable, "-m", "practice.telegram", *arguments(options)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        ports = await _ports(process)
        async with TelegramPractice(ports.api_url) as client:
            yield Running(ports, client, process)
    finally:
        await stop(process)


async def _ports(process: Process) -> Ports:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    if not line:
        raise RuntimeError("the practice Telegram did not start")
    given = json.loads(line)
    given.pop("api_url")
    return Ports(**given)
