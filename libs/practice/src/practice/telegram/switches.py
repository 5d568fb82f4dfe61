"""The part of the API that changes how the server behaves: faults, switches, connections."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, HTTPException

from practice.faults import fault_routes
from practice.telegram.arrivals import Arrivals
from practice.telegram.faults import FaultName, Faults
from practice.telegram.people import digits
from practice.telegram.settings import Switches

if TYPE_CHECKING:
    from practice.telegram.platform import TelegramPlatform


def switches(platform: "TelegramPlatform") -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    router.include_router(fault_routes(platform.world, Faults, FaultName))
    _manners(router, platform)
    return router


def _manners(router: APIRouter, platform: "TelegramPlatform") -> None:
    world = platform.world

    @router.patch("/switches")
    async def patch_switches(given: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        unknown = given.keys() - asdict(world.switches).keys()
        if unknown:
            raise HTTPException(422, f"no such switch: {', '.join(sorted(unknown))}")
        world.switches = Switches(**{**asdict(world.switches), **given})
        return asdict(world.switches)

    @router.post("/files/expire-references")
    async def expire_references() -> dict[str, int]:
        world.file_reference += 1
        return {"reference": world.file_reference}

    @router.post("/drop-connections")
    async def drop_connections(phone: str | None = None) -> dict[str, int]:
        number = digits(phone) if phone else None
        return {"connections": platform.drop_connections(number)}

    @router.post("/counts/reset")
    async def reset_counts() -> dict[str, str]:
        world.arrivals = Arrivals()
        return {"status": "ok"}
