"""Tokens, roles, passwords, and the proof that every route is guarded."""

import json
import time
from typing import Annotated

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import APIRouter, Depends
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from servicekit.app import build_api
from servicekit.auth import (
    Authenticator,
    Principal,
    Role,
    assert_guarded,
    hash_password,
    issue_token,
    require,
    verify_password,
)
from servicekit.errors import Permanent, Unauthorized, Unavailable
from servicekit.settings import ServiceSettings

PUBLIC = {"GET /livez", "GET /readyz", "GET /healthz", "GET /metrics", "GET /openapi.json", "GET /docs"}


@pytest.fixture
def app(service_settings):
    router = APIRouter()

    @router.get("/read")
    async def read(who: Annotated[Principal, Depends(require(Role.VIEWER))]):
        return who

    @router.get("/work", dependencies=[Depends(require(Role.OPERATOR))])
    async def work():
        return "done"

    @router.get("/admin", dependencies=[Depends(require(Role.ADMIN))])
    async def admin():
        return "done"

    return build_api(service_settings, routers=[router])


@pytest.fixture
async def client(app):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://unit") as made:
        yield made


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.VIEWER, {"/read"}),
        (Role.OPERATOR, {"/read", "/work"}),
        (Role.SERVICE, {"/read", "/work"}),
        (Role.ADMIN, {"/read", "/work", "/admin"}),
    ],
)
async def test_a_role_does_what_it_names_and_no_more(client, service_settings, role, allowed):
    headers = {"Authorization": f"Bearer {issue_token(service_settings, 'ada', role)}"}
    for path in ("/read", "/work", "/admin"):
        answer = await client.get(path, headers=headers)
        assert answer.status_code == (200 if path in allowed else 403)


async def test_the_service_token_is_a_service(client, service_settings):
    headers = {"Authorization": f"Bearer {service_settings.service_token.get_secret_value()}"}
    assert (await client.get("/read", headers=headers)).json() == {"subject": "service", "role": "service"}


def _tampered(settings):
    head, _, mac = issue_token(settings, "ada", Role.VIEWER).split(".")
    return f"{head}.{jwt.utils.base64url_encode(json.dumps({'sub': 'ada', 'role': 'admin', 'exp': time.time() + 99}).encode()).decode()}.{mac}"


@pytest.mark.parametrize(
    "make",
    [
        lambda _: None,
        lambda _: "Basic YTpi",
        lambda _: "Bearer",
        lambda _: "Bearer nonsense",
        lambda s: f"Bearer {issue_token(s, 'ada', Role.ADMIN, lifetime_seconds=-5)}",
        lambda s: f"Bearer {_tampered(s)}",
        lambda _: "Bearer " + jwt.encode({"sub": "a", "role": "admin", "exp": time.time() + 99}, "x" * 40),
        lambda _: "Bearer " + jwt.encode({"sub": "a", "role": "admin", "exp": time.time() + 99}, "", algorithm="none"),
        lambda s: (
            f"Bearer {issue_token(s.model_copy(update={'jwt_secret': type(s.jwt_secret)('y' * 40)}), 'a', Role.ADMIN)}"
        ),
    ],
)
async def test_no_valid_token_no_answer(client, service_settings, make):
    given = make(service_settings)
    answer = await client.get("/read", headers={"Authorization": given} if given else {})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_short_secret_signs_nothing():
    with pytest.raises(Permanent):
        issue_token(ServiceSettings(jwt_secret="short"), "ada", Role.ADMIN)


def test_every_route_is_guarded_but_those_named(app):
    assert_guarded(app, public=PUBLIC)


def test_a_forgotten_guard_is_found(service_settings):
    router = APIRouter()
    inner = APIRouter(prefix="/deep")

    @inner.get("/open")
    async def open_route():
        return "oops"

    router.include_router(inner)
    with pytest.raises(AssertionError, match="GET /deep/open"):
        assert_guarded(build_api(service_settings, routers=[router]), public=PUBLIC)


def test_a_public_route_that_is_gone_is_found(app):
    with pytest.raises(AssertionError, match="GET /gone"):
        assert_guarded(app, public={*PUBLIC, "GET /gone"})


async def test_passwords_verify_and_an_unknown_person_takes_as_long():
    stored = await hash_password("correct horse")
    assert await verify_password(stored, "correct horse")
    assert not await verify_password(stored, "wrong")
    assert not await verify_password("not a hash", "x")
    started = time.perf_counter()
    await verify_password(stored, "wrong")
    known = time.perf_counter() - started
    started = time.perf_counter()
    assert not await verify_password(None, "nobody's password")
    assert time.perf_counter() - started > known / 10


class _Issuer:
    def __init__(self, monkeypatch) -> None:
        self.fetches = 0
        self.keys = {
            "rsa": ("RS256", rsa.generate_private_key(65_537, 2_048), RSAAlgorithm),
            "ec": ("ES256", ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
        }
        real = httpx.AsyncClient
        monkeypatch.setattr(httpx, "AsyncClient", lambda **kw: real(transport=httpx.MockTransport(self._answer), **kw))

    def _answer(self, _):
        self.fetches += 1
        keys = [
            {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "alg": alg, "use": "sig"}
            for kid, (alg, key, kind) in self.keys.items()
        ]
        return httpx.Response(200, json={"keys": keys})

    def token(self, kid, **claims):
        alg, key, _ = self.keys[kid]
        given = {
            "iss": "https://id",
            "aud": "kurir",
            "sub": "ada",
            "roles": "operator",
            "exp": time.time() + 60,
            **claims,
        }
        return jwt.encode(given, key, algorithm=alg, headers={"kid": kid})


async def test_an_outside_issuers_tokens_count_by_its_keys(monkeypatch, service_settings):
    issuer = _Issuer(monkeypatch)
    outside = {
        "jwks_url": "https://id/keys",
        "jwks_issuer": "https://id",
        "jwks_audience": "kurir",
        "jwks_role_claim": "roles",
    }
    auth = Authenticator(service_settings.model_copy(update=outside))
    for kid in ("rsa", "ec"):
        assert await auth.authenticate(issuer.token(kid)) == Principal(subject="ada", role=Role.OPERATOR)
    assert issuer.fetches == 1
    for wrong in ({"iss": "https://other"}, {"aud": "other"}, {"roles": "king"}, {"exp": 1}):
        with pytest.raises(Unauthorized):
            await auth.authenticate(issuer.token("rsa", **wrong))
    with pytest.raises(Unauthorized):
        await auth.authenticate(
            jwt.encode(
                {"sub": "a", "exp": time.time() + 9}, issuer.keys["rsa"][1], algorithm="RS256", headers={"kid": "?"}
            )
        )
    assert issuer.fetches == 1  # an unknown key id does not hammer the issuer


async def test_an_issuer_that_is_away_is_not_asked_by_every_request(monkeypatch, service_settings):
    asked = []

    async def away(_self, url):
        asked.append(url)
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(httpx.AsyncClient, "get", away)
    outside = {"jwks_url": "https://id/keys", "jwks_issuer": "https://id", "jwks_audience": "kurir"}
    auth = Authenticator(service_settings.model_copy(update=outside))
    key = ec.generate_private_key(ec.SECP256R1())
    for kid in "abcdef":
        token = jwt.encode({"sub": "x", "exp": time.time() + 9}, key, algorithm="ES256", headers={"kid": kid})
        with pytest.raises(Unavailable):
            await auth.authenticate(token)
    assert len(asked) == 1


@pytest.mark.parametrize("missing", ["jwks_issuer", "jwks_audience"])
def test_an_issuers_keys_alone_let_nobody_in(service_settings, missing):
    outside = {"jwks_url": "https://id/keys", "jwks_issuer": "https://id", "jwks_audience": "kurir", missing: None}
    with pytest.raises(Permanent, match="KURIR_JWKS_AUDIENCE"):
        Authenticator(service_settings.model_copy(update=outside))
