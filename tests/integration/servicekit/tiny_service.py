"""The smallest service, run as a process by test_app."""

import asyncio

from contracts import events
from fastapi import APIRouter, Depends, Request
from pydantic_settings import SettingsConfigDict
from servicekit import mongo
from servicekit.app import build_api, run
from servicekit.auth import Role, require
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.health import SessionHealth
from servicekit.logs import get_logger
from servicekit.settings import ServiceSettings
from servicekit.sse import EventHub, stream

log = get_logger("tiny")


class TinySettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TINY_")
    service: str = "tiny"


settings = TinySettings()
bus = Bus(settings)
db = mongo.connect(settings)
hub = EventHub(bus, "accounts")
router = APIRouter(dependencies=[Depends(require(Role.VIEWER))])
stumbled: list[bool] = []


@router.get("/slow")
async def slow() -> str:
    await asyncio.sleep(2)
    return "finished"


@router.get("/publish")
async def publish() -> str:
    tagged = events.ContactTagged(contact_id="c", tag="t", at=utcnow())
    await bus.publish("evt.campaigns.contact.tagged.v1", tagged)
    await hub.publish("thing", ["c"])
    return "published"


@router.get("/events")
async def changes(request: Request):
    return stream(request, hub)


async def make_stream() -> None:
    await bus.wait_connected()
    await bus.js.add_stream(name="EVENTS", subjects=["evt.>"])


async def beat() -> None:
    try:
        await asyncio.sleep(3_600)
    finally:
        log.info("beat ended")


async def stumbles() -> None:
    if not stumbled:
        stumbled.append(True)
        raise RuntimeError("on purpose")


async def ended() -> None:
    log.info("shutdown hook ran")


def app():
    return build_api(
        settings,
        bus,
        [router],
        startup=[make_stream],
        shutdown=[ended],
        background=[beat, stumbles],
        stopping=[hub.close, lambda: log.info("stopping was announced")],
        checks={"store": db.ping},
        sessions=lambda: {"acc_1": SessionHealth(status="ready", last_proof_of_life=utcnow())},
    )


if __name__ == "__main__":
    run(app, settings)
