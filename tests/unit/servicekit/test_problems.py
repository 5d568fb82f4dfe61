"""Every error is a problem document that names what is wrong."""

import httpx
import pytest
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from servicekit import errors
from servicekit.app import build_api
from servicekit.settings import ServiceSettings

router = APIRouter()


class Smtp(BaseModel):
    port: int = Field(ge=1, le=65_535)


class Body(BaseModel):
    name: str
    smtp: Smtp


RAISED = {
    "missing": errors.NotFound("no account acc_1"),
    "conflict": errors.Conflict("changed meanwhile"),
    "away": errors.Unavailable("NATS is not connected", after_seconds=7),
    "fields": errors.Invalid({"smtp.port": "must be open"}),
    "permanent": errors.Permanent("account_deleted", "the account is gone"),
    "bug": RuntimeError("secret detail"),
}


@router.get("/raise/{name}")
async def raises(name: str) -> None:
    raise RAISED[name]


@router.post("/body")
async def body(_: Body) -> None:
    return None


@router.post("/large", max_body_size=3 << 20)
async def large(_: dict) -> str:
    return "taken"


@pytest.fixture
async def client():
    app = build_api(ServiceSettings(service="unit"), routers=[router])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://unit") as made:
        yield made


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("missing", 404, "not_found"),
        ("conflict", 409, "conflict"),
        ("away", 503, "unavailable"),
        ("fields", 422, "invalid"),
        ("permanent", 422, "account_deleted"),
        ("bug", 500, "internal"),
    ],
)
async def test_our_errors_become_problems(client, name, status, reason):
    answer = await client.get(f"/raise/{name}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["reason"], problem["type"]) == (status, reason, f"urn:kurir:problem:{reason}")
    assert "secret" not in answer.text


async def test_unavailable_says_when_to_come_back(client):
    assert (await client.get("/raise/away")).headers["retry-after"] == "7"


async def test_each_wrong_field_is_named_without_its_value(client):
    answer = await client.post("/body", json={"smtp": {"port": 99_999_123}})
    assert answer.status_code == 422
    assert {e["field"] for e in answer.json()["errors"]} == {"name", "smtp.port"}
    assert "99999123" not in answer.text


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b'"x"', b"null"])
async def test_broken_json_is_a_problem(client, content):
    answer = await client.post("/body", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_unknown_routes_and_methods_are_problems(client):
    for answer in (await client.get("/nowhere"), await client.delete("/body")):
        assert answer.headers["content-type"] == "application/problem+json"


async def _chunks(total):
    for _ in range(total // 65_536):
        yield b" " * 65_536


async def test_a_body_over_the_limit_is_refused_announced_or_not(client):
    announced = await client.post("/body", content=b" " * (2 << 20))
    chunked = await client.post("/body", content=_chunks(2 << 20))
    for answer in (announced, chunked):
        assert answer.status_code == 413
        assert answer.json()["reason"] == "too_large"


async def test_a_route_may_take_more(client):
    assert (await client.post("/large", json={"x": "y" * (2 << 20)})).status_code == 200
    assert (await client.post("/large", json={"x": "y" * (4 << 20)})).status_code == 413


async def test_metrics_count_by_route_not_by_path(client):
    await client.get("/raise/missing")
    text = (await client.get("/metrics")).text
    assert 'route="/raise/{name}",status="404"' in text


class Secretive(BaseModel):
    model_config = ConfigDict(extra="forbid")
    password: SecretStr = Field(min_length=10, max_length=20)


@router.post("/secretive")
async def secretive(_: Secretive) -> None:
    return None


@pytest.mark.parametrize(
    ("content", "kind", "field", "words"),
    [
        (b"", "application/json", "body", "must be a JSON object, sent with Content-Type: application/json"),
        (b"nonsense", "text/plain", "body", "must be a JSON object, sent with Content-Type: application/json"),
        (b'{"password":', "application/json", "body", "is not JSON: Expecting value at character 12"),
        (b"[1]", "application/json", "body", "must be a JSON object, sent with Content-Type: application/json"),
        (b'{"pasword": "x"}', "application/json", "password", "is required"),
        (b'{"password": "long enough", "x": 1}', "application/json", "x", "unknown field"),
        (b'{"password": "short"}', "application/json", "password", "must have at least 10 characters"),
        (
            b'{"password": "far longer than it may be"}',
            "application/json",
            "password",
            "must have at most 20 characters",
        ),
    ],
)
async def test_a_refusal_is_told_in_words_for_a_person(client, content, kind, field, words):
    answer = await client.post("/secretive", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert answer.json()["errors"][0] == {"field": field, "message": words}
