"""What the faults of all practice platforms share: how they are spelled, and the routes that switch them."""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Protocol, Self

from fastapi import APIRouter, Body, HTTPException
from pydantic import BaseModel, ValidationError

Json = dict[str, Any]


class FaultSet(BaseModel):
    """All faults that are switched on, by name; each may be there several times with other limits.

    A platform declares `active: dict[FaultName, list[Fault]]` and how a fault may be spelled in short.
    """

    active: Any

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Return the faults of `{name: short form | fault | [fault, …]}`; false and null are left out.

        Raises pydantic.ValidationError naming what is wrong.
        """
        spelled = {
            name: [cls.spelled_out(name, one) for one in cls.as_list(name, value)]
            for name, value in given.items()
            if value is not None and value is not False
        }
        return cls.model_validate({"active": spelled})

    @classmethod
    def as_list(cls, name: str, given: Any) -> list[Any]:  # noqa: ARG003  # for those that override it
        """Return the faults that stand under one name."""
        return given if isinstance(given, list) else [given]

    @classmethod
    def spelled_out(cls, name: str, given: Any) -> Any:
        """Return a fault written in short as its fields."""
        raise NotImplementedError


class Faulty(Protocol):
    """What holds a platform's faults."""

    faults: Any


def fault_routes(holder: Faulty, kind: type[FaultSet], names: type[Enum]) -> APIRouter:
    """Return GET, PUT (replace), PATCH (add) and DELETE (all, or one) of `/faults`."""
    router = APIRouter()

    def shown() -> Json:
        return holder.faults.model_dump(mode="json")["active"]  # type: ignore[no-any-return]

    def parsed(given: Json) -> FaultSet:
        try:
            return kind.parse(given)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            raise HTTPException(422, details) from error

    @router.get("/faults")
    async def get_faults() -> Json:
        return shown()

    @router.put("/faults")
    async def put_faults(given: Annotated[Json, Body()]) -> Json:
        holder.faults = parsed(given)
        return shown()

    @router.patch("/faults")
    async def patch_faults(given: Annotated[Json, Body()]) -> Json:
        holder.faults = kind(active={**holder.faults.active, **parsed(given).active})
        return shown()

    @router.delete("/faults")
    async def delete_faults() -> Json:
        holder.faults = kind(active={})
        return shown()

    @router.delete("/faults/{name}")
    async def delete_fault(name: str) -> Json:
        try:
            holder.faults.active.pop(names(name), None)
        except ValueError as error:
            raise HTTPException(422, f"no such fault: {name}") from error
        return shown()

    return router
