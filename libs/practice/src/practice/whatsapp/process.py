"""The practice WhatsApp in a process of its own, for tests and for local use."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from practice.mail.process import START_SECONDS, arguments, stop
from practice.whatsapp.client import WhatsAppPractice
from practice.whatsapp.platform import Ports


@dataclass(frozen=True, slots=True)
class Running:
    """A platform in another process: its ports and a client of its API."""

    ports: Ports
    client: WhatsAppPractice
    process: Process


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[Running]:
    """Run the platform in a subprocess until the block ends; options are those of the command line.

    Raises RuntimeError when it does not come up (a port is taken); its own error is on stderr.
    """
    command = [sys.executable, "-m", "practice.whatsapp", *arguments(options)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        ports = await _ports(process)
        async with WhatsAppPractice(ports.api_url) as client:
            yield Running(ports, client, process)
    finally:
        await stop(process)


async def _ports(process: Process) -> Ports:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    if not line:
        raise RuntimeError("the practice WhatsApp did not start")
    given = json.loads(line)
    return Ports(given["host"], given["page"], given["api"])
