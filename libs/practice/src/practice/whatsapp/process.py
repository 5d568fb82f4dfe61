"""The practice WhatsApp in a process of its own, for tests and for local use."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from practice.processes import Running as _Running
from practice.processes import run
from practice.whatsapp.client import WhatsAppPractice
from practice.whatsapp.platform import Ports

Running = _Running[Ports, WhatsAppPractice]


def running(**options: Any) -> AbstractAsyncContextManager[Running]:
    """Run the platform in a subprocess until the block ends; options are those of the command line.

    Raises RuntimeError when it does not come up (a port is taken); its own error is on stderr.
    """
    return run("practice.whatsapp", Ports, WhatsAppPractice, options)
