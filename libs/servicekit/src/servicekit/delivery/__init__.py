"""How messages are received: one policy for all, each message judged by itself, nothing lost and nothing for ever."""

from servicekit.delivery.received import Received
from servicekit.delivery.settle import Policy
from servicekit.delivery.subscribe import subscribe, subscribe_batch

__all__ = ["Policy", "Received", "subscribe", "subscribe_batch"]
