"""Values no store and no JSON can hold: the caller's error, said in words."""

import bson
import httpx
import pytest
from contracts.base import Time
from fastapi import APIRouter
from pydantic import TypeAdapter, ValidationError
from servicekit.app import build_api
from servicekit.errors import Invalid
from servicekit.mongo import translated

router = APIRouter()


@router.post("/settings")
async def settings(given: dict) -> None:
    raise Invalid(dict.fromkeys(given, "unknown field"))


@pytest.mark.parametrize("value", [10**30, -(10**30), "\ud800", {"\0": 1}])
async def test_what_the_store_cannot_hold_is_invalid(value):
    with pytest.raises(Invalid, match="cannot be stored"):
        async with translated(None):
            bson.encode({"value": value})


async def test_half_a_surrogate_pair_in_a_fields_name_comes_back_as_an_escape(service_settings):
    app = build_api(service_settings, routers=[router])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://kurir") as client:
        answer = await client.post("/settings", content=b'{"\\ud800": 1}', headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "\ud800", "message": "unknown field"}]


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_moment_outside_the_calendar_is_refused(text):
    with pytest.raises(ValidationError, match="9999"):
        TypeAdapter(Time).validate_python(text)
