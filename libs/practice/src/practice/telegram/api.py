"""The API: what arrived, what people see, and the switches."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, FastAPI, HTTPException, Query
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from practice.telegram.boxes import Letter
from practice.telegram.doings import doings
from practice.telegram.people import digits
from practice.telegram.switches import switches
from practice.telegram.telling import known, shown, told

if TYPE_CHECKING:
    from practice.telegram.platform import TelegramPlatform
    from practice.telegram.world import World

_CHUNK = 5_000


def build_api(platform: "TelegramPlatform") -> FastAPI:
    """Return the HTTP API of a running platform."""
    api = FastAPI(title="Practice Telegram", docs_url="/docs", redoc_url=None)
    for router in (arrivals(platform), server(platform), people(platform), doings(platform), switches(platform)):
        api.include_router(router)
    return api


def arrivals(platform: "TelegramPlatform") -> APIRouter:
    """Routes that count and show what arrived."""
    router, world = APIRouter(), platform.world

    @router.get("/messages")
    async def messages(
        to: str | None = None, sender: str | None = None, limit: Annotated[int, Query(ge=1, le=10_000)] = 100
    ) -> list[dict[str, Any]]:
        letters = _newest(world, to, sender)
        return [shown(world, letter) for letter, _ in zip(letters, range(limit), strict=False)]

    @router.get("/counts")
    async def counts() -> dict[str, Any]:
        acts = platform.acts
        return {**world.arrivals.counts(), "acts": dict(acts.done), "acts_waiting": acts.waiting}

    @router.get("/counts/by-phone")
    async def counts_by_phone() -> dict[str, int]:
        return {"+" + phone: count for phone, count in world.arrivals.by_phone.items()}

    @router.post("/counts/by-random-id")
    async def counts_by_random_id(random_ids: Annotated[list[int], Body()]) -> dict[str, Any]:
        return world.arrivals.counts_of(random_ids)

    @router.get("/random-ids")
    async def random_ids() -> StreamingResponse:
        return StreamingResponse(_lines(list(world.arrivals.by_random_id.items())), media_type="text/plain")

    @router.get("/files/{number}")
    async def file(number: int) -> Response:
        found = world.files.get(number)
        if found is None:
            raise HTTPException(404, f"no file {number}")
        return Response(found.data, media_type="application/octet-stream")

    return router


def _newest(world: "World", to: str | None, sender: str | None) -> Iterator[Letter]:
    """Yield what clients and people wrote to a number, or else what clients wrote at all, newest first."""
    writer = world.by_phone.get(digits(sender)) if sender else None
    if to is None:
        letters: Iterator[Letter] = reversed(world.arrivals.newest)
    else:
        reader = world.by_phone.get(digits(to))
        events = reader.box.events if reader else []
        letters = (one.what for one in reversed(events) if isinstance(one.what, Letter))
        letters = (one for one in letters if reader is not None and one.receiver == reader.id)
    return (one for one in letters if not sender or (writer is not None and one.sender == writer.id))


def _lines(counted: list[tuple[int, int]]) -> Iterator[str]:
    """One line per random_id: how often it was accepted, a space, the id."""
    for start in range(0, len(counted), _CHUNK):
        yield "".join(f"{count} {random_id}\n" for random_id, count in counted[start : start + _CHUNK])


def server(platform: "TelegramPlatform") -> APIRouter:
    """Routes that tell of the server itself."""
    router = APIRouter()

    @router.get("/calls")
    async def calls() -> dict[str, int]:
        return dict(platform.calls)

    @router.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return {"status": "ok", **platform.ports.as_dict()}

    @router.get("/key")
    async def key() -> PlainTextResponse:
        return PlainTextResponse(platform.server_key.pem)

    return router


def people(platform: "TelegramPlatform") -> APIRouter:
    """Routes that tell of people and their logins."""
    router, world = APIRouter(), platform.world

    @router.get("/people/{phone}")
    async def person(phone: str) -> dict[str, Any]:
        return told(known(world, phone))

    @router.get("/people/{phone}/code")
    async def code(phone: str) -> dict[str, str]:
        found = world.logins.last.get(digits(phone))
        if found is None:
            raise HTTPException(404, f"no code is out to {phone}")
        return {"code": found}

    return router
