"""The API for tests and people: what arrived, who is there, what phones do, and the switches."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, HTTPException, Query, Response

from practice.whatsapp import phones
from practice.whatsapp.bodies import (
    AckBody,
    GroupBody,
    LogOutBody,
    PairingBody,
    RangeBody,
    ScanBody,
    TypingBody,
    WriteBody,
)
from practice.whatsapp.messages import Message
from practice.whatsapp.people import Person
from practice.whatsapp.server import ChatServer
from practice.whatsapp.switches import switches

Json = dict[str, Any]


def build_api(server: ChatServer, links: Json) -> FastAPI:
    """Return the HTTP API; `links` is what `/healthz` says of ports."""
    api = FastAPI(title="Practice WhatsApp", docs_url="/docs", redoc_url=None)
    for router in (arrivals(server), people(server), phone(server), writing(server), switches(server)):
        api.include_router(router)

    @api.get("/healthz")
    async def healthz() -> Json:
        return {"status": "ok", **links}

    return api


def arrivals(server: ChatServer) -> APIRouter:
    """Routes that count and show what arrived."""
    router, archive = APIRouter(), server.archive

    @router.get("/messages")
    async def messages(
        to: str | None = None,
        sender: str | None = None,
        message_id: str | None = None,
        limit: Annotated[int, Query(ge=1, le=100_000)] = 100,
    ) -> list[Json]:
        return [one.shown() for one in archive.find(to=to, sender=sender, message_id=message_id, limit=limit)]

    @router.get("/counts")
    async def counts() -> Json:
        acting = server.acting
        return {**archive.counts(), "acts": dict(acting.done), "acts_waiting": acting.waiting}

    @router.post("/counts/by-message-id")
    async def counts_by_message_id(message_ids: Annotated[list[str], Body()]) -> Json:
        return archive.counts_of(message_ids)

    @router.get("/media/{filehash:path}")
    async def media(filehash: str) -> Response:
        try:
            return Response(archive.media(filehash), media_type="application/octet-stream")
        except KeyError:
            raise HTTPException(404, "no such file") from None

    @router.get("/happenings")
    async def happenings() -> Json:
        return {"typing": server.typing, "reading": server.reading}

    return router


def people(server: ChatServer) -> APIRouter:
    """Routes for numbers and groups."""
    router, directory = APIRouter(), server.directory

    @router.put("/numbers")
    async def put_numbers(given: list[Person]) -> Json:
        return {"numbers": len([directory.put(one) for one in given])}

    @router.post("/numbers/range")
    async def put_range(given: RangeBody) -> Json:
        return {"numbers": len([directory.put(one) for one in given.people()])}

    @router.get("/numbers/{phone}")
    async def number(phone: str) -> Json:
        found = directory.find(phone)
        if not isinstance(found, Person):
            raise HTTPException(404, f"no number {phone}")
        return found.shown()

    @router.put("/groups")
    async def put_group(given: GroupBody) -> Json:
        group = directory.groups[given.id] = given
        return group.model_dump()

    @router.get("/devices")
    async def devices() -> list[Json]:
        return [
            {"phone": one.phone, "open": one.line is not None, "pending": len(one.pending)}
            for one in server.devices.by_token.values()
        ]

    return router


def phone(server: ChatServer) -> APIRouter:
    """Routes that work the practice phone: link pages, end logins."""
    router = APIRouter()

    @router.post("/scan")
    async def scan(given: ScanBody) -> Json:
        try:
            return {"linked": phones.scan(server, given.qr_text, given.phone) is not None}
        except LookupError as error:
            raise HTTPException(409, str(error)) from None

    @router.post("/pairing-code")
    async def pairing_code(given: PairingBody) -> Json:
        try:
            return {"linked": phones.enter_pairing_code(server, given.code, given.phone) is not None}
        except LookupError as error:
            raise HTTPException(409, str(error)) from None

    @router.post("/log-out")
    async def log_out(given: LogOutBody) -> Json:
        return {"devices": phones.log_out(server, given.phone, given.reason)}

    return router


def writing(server: ChatServer) -> APIRouter:
    """Routes that let people write, edit, delete, type, and acknowledge."""
    router = APIRouter()

    def first(message_id: str) -> Message:
        try:
            return server.archive.first(message_id)
        except KeyError:
            raise HTTPException(404, f"no message {message_id}") from None

    @router.post("/write")
    async def write(given: WriteBody) -> Json:
        try:
            return server.write(given.sender, given.to, given.content(server.archive)).shown()
        except KeyError as error:
            raise HTTPException(404, f"unknown: {error}") from None

    @router.post("/messages/{message_id}/edit")
    async def edit(message_id: str, text: Annotated[str, Body(embed=True)]) -> Json:
        first(message_id)
        server.edit(message_id, text)
        return first(message_id).shown()

    @router.post("/messages/{message_id}/revoke")
    async def revoke(message_id: str) -> Json:
        first(message_id)
        server.revoke(message_id)
        return first(message_id).shown()

    @router.post("/messages/{message_id}/ack")
    async def ack(message_id: str, given: AckBody) -> Json:
        server.acknowledge(first(message_id), given.ack)
        return first(message_id).shown()

    @router.post("/typing")
    async def typing(given: TypingBody) -> Json:
        chat = server.directory.person(given.sender).chat_id
        devices = server.devices.of(given.to)
        for device in devices:
            device.tell({"kind": "typing", "chat": chat, "state": given.state})
        return {"devices": len(devices)}

    return router
