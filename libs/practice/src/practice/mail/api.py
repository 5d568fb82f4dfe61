"""The API: what arrived, what was done, and the switches."""

import base64
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, FastAPI, HTTPException, Query
from fastapi.responses import FileResponse, StreamingResponse

from practice.mail.parsed import read
from practice.mail.switches import switches

if TYPE_CHECKING:
    from practice.mail.platform import MailPlatform

_CHUNK = 5_000


def build_api(platform: "MailPlatform") -> FastAPI:
    """Return the HTTP API of a running platform."""
    api = FastAPI(title="Practice mail", docs_url="/docs", redoc_url=None)
    api.include_router(arrivals(platform))
    api.include_router(happenings(platform))
    api.include_router(switches(platform))
    return api


def arrivals(platform: "MailPlatform") -> APIRouter:
    """Routes that count and show what arrived."""
    router, archive = APIRouter(), platform.archive

    @router.get("/messages")
    async def messages(
        message_id: str | None = None, to: str | None = None, limit: Annotated[int, Query(ge=1, le=10_000)] = 100
    ) -> list[dict[str, Any]]:
        return [record.as_dict() for record in archive.find(message_id, to, limit)]

    @router.get("/messages/{n}")
    async def message(n: int) -> dict[str, Any]:
        record, content = archive.record(n), archive.content(n)
        if record is None:
            raise HTTPException(404, f"message {n} is unknown or no longer kept")
        shown: dict[str, Any] = {**record.as_dict(), "raw_base64": None}
        if content is not None:
            shown |= {"raw_base64": base64.b64encode(content).decode(), **read(content)}
        return shown

    @router.get("/counts")
    async def counts() -> dict[str, Any]:
        return {
            **archive.counts(),
            "violations": platform.journal.violated,
            "reactions": dict(platform.reactions.done),
            "reactions_waiting": platform.reactions.waiting,
        }

    @router.post("/counts/by-message-id")
    async def counts_by_message_id(message_ids: Annotated[list[str], Body()]) -> dict[str, Any]:
        return archive.counts_of(message_ids)

    @router.get("/message-ids")
    async def message_ids() -> StreamingResponse:
        return StreamingResponse(_id_lines(list(archive.ids.items())), media_type="text/plain")

    return router


def _id_lines(counted: list[tuple[str, int]]) -> Iterator[str]:
    """One line per Message-ID: how often it arrived, a space, the id."""
    for start in range(0, len(counted), _CHUNK):
        yield "".join(f"{count} {message_id}\n" for message_id, count in counted[start : start + _CHUNK])


def happenings(platform: "MailPlatform") -> APIRouter:
    """Routes that tell what happened on the wire and what recipients did."""
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return {"status": "ok", **platform.ports.as_dict()}

    @router.get("/certificate")
    async def certificate() -> FileResponse:
        return FileResponse(platform.ports.cert_file, media_type="application/x-pem-file")

    @router.get("/violations")
    async def violations() -> list[dict[str, Any]]:
        return [asdict(one) for one in platform.journal.violations]

    @router.get("/deliveries")
    async def deliveries() -> dict[str, Any]:
        return platform.journal.deliveries()

    @router.get("/reactions")
    async def reactions() -> list[dict[str, Any]]:
        return list(platform.reactions.records)

    @router.get("/unsubscribes")
    async def unsubscribes() -> list[dict[str, Any]]:
        return list(platform.reactions.unsubscribes)

    return router
