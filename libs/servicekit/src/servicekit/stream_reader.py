"""Reading part of a stream once, with a consumer that is gone afterwards (nats-py's own listings leave theirs behind)."""

import contextlib
from collections.abc import AsyncIterator

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from servicekit.errors import Unavailable

FETCH = 256


async def read(
    js: JetStreamContext, stream: str, subject: str, *, last_per_subject: bool = False, headers_only: bool = False
) -> AsyncIterator[Msg]:
    """Yield what the stream holds under *subject* now. Raises Unavailable when the server stops answering."""
    config = api.ConsumerConfig(
        deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT if last_per_subject else api.DeliverPolicy.ALL,
        ack_policy=api.AckPolicy.NONE,
        filter_subject=subject,
        headers_only=headers_only or None,
        inactive_threshold=30.0,
        mem_storage=True,
        num_replicas=1,
    )
    info = await js.add_consumer(stream, config=config)
    pull = await js.pull_subscribe_bind(consumer=info.name, stream=stream)
    try:
        left = info.num_pending or 0
        while left > 0:
            for msg in await _fetch(pull, min(FETCH, left)):
                left = msg.metadata.num_pending
                yield msg
    finally:
        with contextlib.suppress(nats.errors.Error, js_errors.Error, TimeoutError):
            await pull.unsubscribe()
            await js.delete_consumer(stream, info.name)


async def _fetch(pull: JetStreamContext.PullSubscription, count: int) -> list[Msg]:
    try:
        return await pull.fetch(count, timeout=5)
    except TimeoutError as error:
        raise Unavailable("the stream stopped answering") from error
