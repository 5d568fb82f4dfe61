"""The delivery policy as one FastStream middleware: the net under every handler on the broker."""

from typing import TYPE_CHECKING, Any

from faststream import BaseMiddleware
from faststream.exceptions import IgnoredException, NackMessage, RejectMessage

from servicekit.delivery.settle import DEFAULT, Policy, settle_failure

if TYPE_CHECKING:
    from types import TracebackType

    from servicekit.bus import Bus


def delivery_policy(bus: "Bus", policy: Policy = DEFAULT) -> type[BaseMiddleware]:
    """Return the middleware. FastStream's own policies lose a failed message or burn its deliveries in milliseconds."""

    class DeliveryPolicy(BaseMiddleware):
        async def after_processed(
            self,
            exc_type: type[BaseException] | None = None,  # noqa: ARG002  # FastStream's signature
            exc_val: BaseException | None = None,
            exc_tb: "TracebackType | None" = None,  # noqa: ARG002
        ) -> bool | None:
            """Settle what a handler left unsettled when it raised."""
            messages: list[Any] = self.msg if isinstance(self.msg, list) else [self.msg]
            if not isinstance(exc_val, Exception) or isinstance(exc_val, IgnoredException) or not _stored(messages):
                return False  # done, decided by the handler, cancelled, or a core message
            try:
                for msg in messages:
                    await settle_failure(bus, msg, exc_val, msg.metadata.num_delivered, policy)
            except Exception as error:
                raise NackMessage(delay=5) from error
            raise RejectMessage from None  # all settled; FastStream skips what is already acknowledged

    return DeliveryPolicy


def _stored(messages: list[Any]) -> bool:
    return bool(messages) and str(getattr(messages[0], "reply", "")).startswith("$JS.ACK.")
