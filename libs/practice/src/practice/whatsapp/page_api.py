"""What the page asks of the chat server; the page itself is served here too."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from practice.whatsapp import counter
from practice.whatsapp.devices import Device, Line
from practice.whatsapp.faults import FaultName
from practice.whatsapp.server import ChatServer

Json = dict[str, Any]
Given = Annotated[Json, Body()]
PAGE = Path(__file__).parent / "page"
KEEP_ALIVE_SECONDS = 15
#: As strict as the real page: no inline script, no eval; only what is injected from outside gets in.
POLICY = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:"


def build_page_api(server: ChatServer) -> FastAPI:
    """Return the site that a browser opens."""
    site = FastAPI(title="Practice WhatsApp page", docs_url=None, redoc_url=None, openapi_url=None)
    site.include_router(linking(server), prefix="/wa")
    site.include_router(messaging(server), prefix="/wa")
    site.include_router(media(server), prefix="/wa")
    site.mount("/js", StaticFiles(directory=PAGE / "js"))

    @site.get("/")
    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"content-security-policy": POLICY})

    @site.get("/page.css")
    async def style() -> FileResponse:
        return FileResponse(PAGE / "page.css")

    return site


def _device(server: ChatServer, token: str | None) -> Device:
    device = server.devices.by_token.get(token or "")
    if device is None:
        raise HTTPException(401, "this device is not linked")
    return device


def linking(server: ChatServer) -> APIRouter:
    """Routes of a page that starts, offers itself to be linked, listens, and leaves."""
    router, devices, settings = APIRouter(), server.devices, server.settings

    @router.post("/start")
    async def start(given: Given) -> Json:
        device = devices.by_token.get(given.get("token") or "")
        phone = device.phone if device else ""
        missing, screen = (server.faults.hit(one, phone) for one in (FaultName.MISSING, FaultName.SCREEN))
        return {"missing": missing.names if missing else [], "screen": screen.show if screen else None}

    @router.post("/ref")
    async def ref(given: Given) -> Json:
        text = devices.offer_ref(given["page"], given["keys"], settings.qr_seconds)
        return {"ref": text, "seconds": settings.qr_seconds}

    @router.post("/pairing")
    async def pairing(given: Given) -> Json:
        code = devices.offer_code(given["page"], given["keys"], given["phone"], settings.pairing_seconds)
        return {"code": code}

    @router.post("/logout")
    async def logout(given: Given) -> Json:
        devices.end(_device(server, given["token"]), "user_initiated", tell=False)
        return {}

    @router.get("/listen")
    async def listen(request: Request, page: str, token: str | None = None) -> StreamingResponse:
        line = Line(page, (request.scope["client"][1], request.scope["server"][1]))
        return StreamingResponse(_told(server, line, token), media_type="text/event-stream")

    return router


async def _told(server: ChatServer, line: Line, token: str | None) -> AsyncIterator[str]:
    """Yield server-sent events until the page goes away."""
    devices = server.devices
    device = devices.by_token.get(token or "")
    if token and device is None:
        reason = devices.ended.get(token, "unknown_companion")
        yield f"data: {json.dumps({'kind': 'logout', 'reason': reason})}\n\n"
        return
    devices.pages[line.page] = line
    if device:
        device.attach(line)
    try:
        async for event in line.events(KEEP_ALIVE_SECONDS):
            yield f"data: {json.dumps(event)}\n\n" if event else ": still here\n\n"
    finally:
        if devices.pages.get(line.page) is line:
            del devices.pages[line.page]
        if device:
            device.detach(line)


def messaging(server: ChatServer) -> APIRouter:
    """Routes of a linked page."""
    router = APIRouter()

    @router.post("/seen")
    async def seen(given: Given) -> Json:
        _device(server, given["token"]).seen(given["number"])
        return {}

    @router.post("/send")
    async def send(given: Given) -> Json:
        return await counter.take(server, _device(server, given["token"]), given["message"])

    @router.post("/taken")
    async def taken(given: Given) -> Json:
        return {"taken": counter.taken(server, _device(server, given["token"]), given["ids"])}

    @router.post("/exists")
    async def exists(given: Given) -> Json:
        return {"found": counter.found(server, _device(server, given["token"]), given["id"])}

    @router.post("/read")
    async def read(given: Given) -> Json:
        counter.read_chat(server, _device(server, given["token"]), given["chat"])
        return {}

    @router.post("/typing")
    async def typing(given: Given) -> Json:
        counter.typed(server, _device(server, given["token"]), given["chat"], given["state"])
        return {}

    return router


def media(server: ChatServer) -> APIRouter:
    """Routes for files."""
    router = APIRouter()

    @router.put("/media")
    async def upload(request: Request, token: str) -> Json:
        _device(server, token)
        return {"filehash": server.archive.put_media(await request.body())}

    @router.get("/media/{filehash:path}")
    async def download(filehash: str, token: str) -> Response:
        _device(server, token)
        try:
            return Response(server.archive.media(filehash), media_type="application/octet-stream")
        except KeyError:
            raise HTTPException(404, "no such file") from None

    return router
