"""The OpenAPI document says who may call and what errors are; `/docs` shows it without the internet."""

from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends
from pydantic import BaseModel
from servicekit.app import build_api
from servicekit.auth import Principal, Role, require

router = APIRouter(prefix="/v1/things", tags=["things"])


class Thing(BaseModel):
    name: str = "<script>alert(1)</script>"


@router.post("/{thing_id}", summary="Change a thing")
async def change(thing_id: str, _: Annotated[Principal, Depends(require(Role.OPERATOR))], thing: Thing) -> Thing:
    return thing


@pytest.fixture
async def client(service_settings):
    transport = httpx.ASGITransport(build_api(service_settings, routers=[router]))
    async with httpx.AsyncClient(transport=transport, base_url="http://unit") as made:
        yield made


async def test_the_document_names_the_token_and_the_problems(client):
    for _ in range(2):  # FastAPI keeps the document: correcting it again changes nothing
        document = (await client.get("/openapi.json")).json()
        route = document["paths"]["/v1/things/{thing_id}"]["post"]
        assert route["security"] == [{"bearer": []}]
        assert set(route["responses"]) == {"200", "401", "403", "422", "503"}
        problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        assert route["responses"]["422"]["content"] == problem
        assert "security" not in document["paths"]["/livez"]["get"]
        assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_the_page_shows_every_route_and_runs_nothing(client):
    answer = await client.get("/docs")
    assert answer.status_code == 200
    for words in ("/v1/things/{thing_id}", "Change a thing", 'href="#Thing"', 'id="Thing"', "/healthz"):
        assert words in answer.text
    assert "<script" not in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
