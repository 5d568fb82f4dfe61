"""The part of the API that makes trouble and sets manners."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from practice.faults import fault_routes
from practice.whatsapp.crash import crash_browser_page
from practice.whatsapp.faults import FaultName, Faults
from practice.whatsapp.server import ChatServer

Json = dict[str, Any]


class TroubleBody(BaseModel):
    """Trouble for the open pages of an account, at once."""

    model_config = ConfigDict(extra="forbid")

    account: str
    freeze_seconds: float = Field(default=0, ge=0)
    grow_megabytes: int = Field(default=0, ge=0)
    crash: bool = False
    screen: str | None = Field(default=None, pattern="^(passkey|terms|unknown)$")


def switches(server: ChatServer) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    router.include_router(fault_routes(server, Faults, FaultName))

    @router.post("/trouble")
    async def trouble(given: TroubleBody) -> Json:
        lines = [one.line for one in server.devices.of(given.account) if one.line]
        for line in lines:
            if given.screen:
                line.put({"kind": "screen", "name": given.screen})
            suffering = {"freezeSeconds": given.freeze_seconds, "growMegabytes": given.grow_megabytes}
            line.put({"kind": "trouble", **suffering})
        crashed = [await crash_browser_page(line.connection) for line in lines] if given.crash else []
        return {"pages": len(lines), "crashed": sum(crashed)}

    @router.put("/switches")
    async def switch(deduplicate: Annotated[bool, Body(embed=True)]) -> Json:
        server.deduplicate = deduplicate
        return {"deduplicate": deduplicate}

    @router.post("/reset")
    async def reset() -> Json:
        server.reset()
        return {}

    return router
