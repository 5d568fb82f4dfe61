"""Signing in, roles, operators and service tokens."""

import asyncio
import time

import pytest
from pydantic import SecretStr
from servicekit.auth import Role, assert_guarded
from servicekit.auth.guard import unguarded

from tests.support.processes import free_port

from .conftest import Service, prepare, ready, serve

PUBLIC = {
    "GET /livez",
    "GET /readyz",
    "GET /healthz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /docs",
    "POST /v1/sessions",
}
ADMIN = {"email": "admin@kurir.local", "password": "first-password"}


@pytest.fixture
async def office(fresh_nats, settings):
    """A service whose settings name the first administrator; few attempts are allowed."""
    update = {
        "admin_email": ADMIN["email"].upper(),
        "admin_password": SecretStr(ADMIN["password"]),
        "sign_in_failures": 3,
        "sign_in_window_seconds": 60,
    }
    settings = settings.model_copy(update=update)
    await prepare(fresh_nats.url, settings)
    async for running in serve(settings):
        yield await ready(running)


async def signed_in(service: Service, email: str, password: str) -> dict[str, str]:
    answer = await service.http.post("/v1/sessions", json={"email": email, "password": password})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def test_the_first_administrator_signs_in(office: Service):
    me = (
        await office.http.get("/v1/me", headers=await signed_in(office, "Admin@Kurir.Local", ADMIN["password"]))
    ).json()
    assert (me["role"], me["operator"]["email"]) == ("admin", ADMIN["email"])
    assert "password" not in str(me)


async def test_wrong_sign_ins_look_alike_and_are_limited(office: Service):
    wrong = [
        await office.http.post("/v1/sessions", json={"email": email, "password": "nope"})
        for email in (ADMIN["email"], "nobody@kurir.local")
    ]
    assert [(a.status_code, a.json()["reason"]) for a in wrong] == [(401, "wrong_credentials")] * 2
    for _ in range(2):
        await office.http.post("/v1/sessions", json={"email": ADMIN["email"], "password": "nope"})
    limited = await office.http.post("/v1/sessions", json=ADMIN)
    assert (limited.status_code, limited.json()["reason"]) == (429, "too_many_attempts")
    assert int(limited.headers["Retry-After"]) > 0


async def test_guesses_sent_at_once_are_limited_too(office: Service):
    guess = {"email": ADMIN["email"], "password": "nope"}
    answers = await asyncio.gather(*(office.http.post("/v1/sessions", json=guess) for _ in range(12)))
    assert sorted(a.status_code for a in answers) == [401] * 3 + [429] * 9


async def test_unknown_addresses_take_as_long_as_wrong_passwords(office: Service):
    async def seconds(email: str) -> float:
        started = time.perf_counter()
        await office.http.post("/v1/sessions", json={"email": email, "password": "nope"})
        return time.perf_counter() - started

    await seconds("warm@up.local")
    unknown, known = await seconds("nobody@kurir.local"), await seconds(ADMIN["email"])
    assert unknown > known / 4


async def test_operators_are_managed_by_admins_and_the_last_one_stays(office: Service):
    admin = await signed_in(office, **ADMIN)
    body = {"email": "ana@kurir.local", "name": "Ana", "role": "operator", "password": "long-enough-1"}
    ana = (await office.http.post("/v1/operators", json=body, headers=admin)).json()
    assert (await office.http.post("/v1/operators", json=body, headers=admin)).status_code == 409
    assert (await office.http.post("/v1/operators", json=body | {"role": "service"}, headers=admin)).status_code == 422
    assert (
        await office.http.post("/v1/operators", json=body | {"password": "short"}, headers=admin)
    ).status_code == 422
    token = await signed_in(office, "ana@kurir.local", "long-enough-1")
    assert (await office.http.get("/v1/operators", headers=token)).status_code == 403
    people = (await office.http.get("/v1/operators", headers=admin)).json()
    assert [p["email"] for p in people] == ["admin@kurir.local", "ana@kurir.local"]
    me = people[0]["id"]
    for method, change in [("DELETE", None), ("PATCH", {"role": "viewer"}), ("PATCH", {"active": False})]:
        refused = await office.http.request(method, f"/v1/operators/{me}", json=change, headers=admin)
        assert (refused.status_code, refused.json()["reason"]) == (409, "last_admin")
    path = f"/v1/operators/{ana['id']}"
    await office.http.patch(path, json={"role": "viewer"}, headers=admin)
    assert (await office.http.get("/v1/me", headers=token)).json()[
        "role"
    ] == "viewer"  # the token's role is not trusted
    await office.http.patch(path, json={"active": False}, headers=admin)
    assert (await office.http.get("/v1/me", headers=token)).status_code == 401
    refused = await office.http.post("/v1/sessions", json={"email": "ana@kurir.local", "password": "long-enough-1"})
    assert refused.json()["reason"] == "wrong_credentials"
    assert (await office.http.delete(path, headers=admin)).status_code == 204
    assert (await office.http.delete(path, headers=admin)).status_code == 404


async def test_changing_ones_password_ends_the_earlier_tokens(office: Service):
    old = await signed_in(office, **ADMIN)
    body = {"current_password": "wrong-password", "new_password": "second-password"}
    assert (await office.http.post("/v1/me/password", json=body, headers=old)).status_code == 422
    body["current_password"] = ADMIN["password"]
    changed = await office.http.post("/v1/me/password", json=body, headers=old)
    assert changed.status_code == 200
    assert (await office.http.get("/v1/me", headers=old)).json()["reason"] == "session_ended"
    new = {"Authorization": f"Bearer {changed.json()['access_token']}"}
    assert (await office.http.get("/v1/me", headers=new)).status_code == 200
    await signed_in(office, ADMIN["email"], "second-password")


async def test_service_tokens_are_shown_once_listed_and_revoked(office: Service):
    admin = await signed_in(office, **ADMIN)
    given = await office.http.post("/v1/tokens", json={"name": "shop", "expires_in_days": 1}, headers=admin)
    assert (given.status_code, given.headers["cache-control"]) == (201, "no-store")
    token = given.json()
    bearer = {"Authorization": f"Bearer {token['token']}"}
    assert (await office.http.get("/v1/me", headers=bearer)).json()["role"] == "service"
    assert (await office.http.get("/v1/operators", headers=bearer)).status_code == 403
    listed = (await office.http.get("/v1/tokens", headers=admin)).json()
    assert [(t["name"], "token" in t) for t in listed] == [("shop", False)]
    assert (await office.http.delete(f"/v1/tokens/{token['id']}", headers=admin)).status_code == 204
    assert (await office.http.get("/v1/me", headers=bearer)).json()["reason"] == "token_revoked"
    assert (await office.http.delete("/v1/tokens/tok_none", headers=admin)).status_code == 404
    too_long = await office.http.post("/v1/tokens", json={"name": "x", "expires_in_days": 4000}, headers=admin)
    assert too_long.status_code == 422


NAMED = {
    "account_id": "acc_x", "operator_id": "op_x", "token_id": "tok_x", "channel": "email", "import_id": "imp_x", "number": 0,
}  # fmt: skip


async def test_every_route_is_guarded_but_the_named_ones(service: Service):
    assert_guarded(service.app, PUBLIC)
    document = (await service.http.get("/openapi.json")).json()
    open_routes = set(unguarded(service.app))
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            name = f"{method.upper()} {path}"
            url = path.format(**NAMED)
            if name in open_routes:
                assert "security" not in route, name
                continue
            for headers in ({"Authorization": ""}, {"Authorization": "Bearer x.y.z"}):
                answer = await service.http.request(method, url, json={}, headers=headers)
                assert answer.status_code == 401, name
                assert answer.headers["content-type"] == "application/problem+json"


async def test_roles_may_do_what_they_name_and_no_more(service: Service):
    document = (await service.http.get("/openapi.json")).json()
    admin_only = {"/v1/operators", "/v1/operators/{operator_id}", "/v1/tokens", "/v1/tokens/{token_id}"}
    own = {"/v1/me/password"}
    secret = ("/v1/accounts/{account_id}/challenge", "/v1/accounts/{account_id}/session-imports")
    for path, methods in document["paths"].items():
        for method in methods:
            if not path.startswith("/v1/") or path in own | {"/v1/sessions", "/v1/events"}:
                continue
            url = path.format(**NAMED)
            allowed = {Role.ADMIN}
            if path not in admin_only:
                allowed |= {Role.OPERATOR, Role.SERVICE} | (
                    {Role.VIEWER} if method == "get" and not path.startswith(secret) else set()
                )
            for role in Role:
                answer = await service.http.request(method, url, json={}, headers=service.token(role))
                assert (answer.status_code != 403) is (role in allowed), f"{role}: {method} {path} {answer.status_code}"


async def test_two_replicas_create_one_administrator(fresh_nats, settings):
    update = {"admin_email": ADMIN["email"], "admin_password": SecretStr(ADMIN["password"])}
    settings = settings.model_copy(update=update)
    await prepare(fresh_nats.url, settings)
    async for first in serve(settings):
        async for second in serve(settings.model_copy(update={"port": free_port(), "instance_id": "b"})):
            await asyncio.gather(ready(first), ready(second))
            assert await first.ctx.operators.all() == await second.ctx.operators.all()
            assert len(await first.ctx.operators.all()) == 1
            await signed_in(second, **ADMIN)
