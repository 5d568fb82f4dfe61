"""Durable consumers: made, compared and updated here, since subscribing with another configuration is silently ignored."""

from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from servicekit.errors import Permanent
from servicekit.logs import get_logger

_log = get_logger("servicekit.delivery")
_COMPARED = ("ack_wait", "max_ack_pending", "max_deliver", "inactive_threshold")


def consumer_config(
    durable: str,
    subjects: list[str],
    *,
    ack_wait_seconds: float,
    max_ack_pending: int,
    deliver_policy: api.DeliverPolicy = api.DeliverPolicy.ALL,
    inactive_threshold_seconds: float | None = None,
) -> api.ConsumerConfig:
    """Return the whole configuration of a pull consumer; `max_deliver` is off: tries are counted in code."""
    return api.ConsumerConfig(
        name=durable,
        durable_name=durable,
        filter_subject=subjects[0] if len(subjects) == 1 else None,
        filter_subjects=subjects if len(subjects) > 1 else None,
        ack_wait=ack_wait_seconds,
        max_ack_pending=max_ack_pending,
        max_deliver=-1,
        deliver_policy=deliver_policy,
        inactive_threshold=inactive_threshold_seconds,
    )


async def ensure_consumer(js: JetStreamContext, stream: str, config: api.ConsumerConfig) -> bool:
    """Create the consumer, or update it where it differs; return whether anything was done.

    Raises Permanent where the difference cannot be updated, nats' NotFoundError without the stream.
    """
    try:
        have = (await js.consumer_info(stream, str(config.durable_name))).config
    except js_errors.NotFoundError as error:
        if error.err_code == 10_059:
            raise
        await js.add_consumer(stream, config=config)
        return True
    if have.deliver_subject or have.ack_policy != api.AckPolicy.EXPLICIT:
        raise Permanent("consumer", f"{stream}/{config.durable_name} exists as another kind of consumer: delete it")
    if not differences(have, config):
        return False
    _log.info("consumer updated", consumer=config.durable_name, differences=differences(have, config))
    await js.add_consumer(stream, config=config.evolve(deliver_policy=have.deliver_policy))
    return True


def differences(have: api.ConsumerConfig, want: api.ConsumerConfig) -> list[str]:
    """Return what of *want* the consumer lacks, in words."""
    found = [
        f"{name}: {getattr(have, name)} instead of {getattr(want, name)}"
        for name in _COMPARED
        if getattr(want, name) is not None and getattr(have, name) != getattr(want, name)
    ]
    if _filters(have) != _filters(want):
        found.append(f"subjects: {sorted(_filters(have))} instead of {sorted(_filters(want))}")
    return found


def _filters(config: api.ConsumerConfig) -> set[str]:
    return set(config.filter_subjects or ()) | ({config.filter_subject} if config.filter_subject else set())
