"""What a login shows to a person, over HTTP; the channel is played by the test, which seals as channelkit does."""

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from accounts import pictures
from contracts import sealing, subjects
from contracts.channels import Channel
from contracts.state import Challenge, SessionStatus, ShownChallenge
from servicekit import stream_reader
from servicekit.auth import Role
from servicekit.clock import utcnow
from servicekit.kv import Bucket
from servicekit.secrets import Sealer

from .conftest import Service

QR = "2@a-secret-of-this-login,key,key,1"
PNG = b"\x89PNG\r\n\x1a\n"
KINDS: dict[str, tuple[SessionStatus, str]] = {
    "qr": (SessionStatus.AWAITING_QR, "qr"),
    "code_to_enter": (SessionStatus.AWAITING_QR, "code_to_enter"),
    "image/png": (SessionStatus.AWAITING_PERSON, "person"),
}


async def show(service: Service, account: str, kind: str, data: bytes, *, seconds: float = 60) -> None:
    """Report a challenge with something to see, as a channel's service would."""
    sealer = Sealer.from_keys(service.settings.sealing_keys).for_channel("email")
    expires_at = utcnow() + timedelta(seconds=seconds)
    shown: dict[str, Any] = {"kind": kind, "sealed": sealer.seal(data, sealing.shown(account))}
    bucket = Bucket(service.bus, subjects.bucket("sessions", Channel.EMAIL), ShownChallenge)
    await bucket.put(
        subjects.shown_key(account), ShownChallenge(challenge_id="q1", expires_at=expires_at, **shown), ttl_seconds=60
    )
    status, name = KINDS[kind]
    challenge = Challenge(id="q1", kind=name, hint="Scan it", expires_at=expires_at)
    await service.report(account, status, challenge=challenge, reason="a reason")


async def test_a_qr_code_is_a_picture_that_nobody_keeps_and_a_text_for_programs(service: Service):
    account = (await service.create())["id"]
    await show(service, account, "qr", QR.encode())
    asked = (await service.http.get(f"/v1/accounts/{account}/challenge")).json()
    assert (asked["id"], asked["kind"], asked["shown"], asked["status"]) == ("q1", "qr", "qr", "awaiting_qr")
    assert asked["session_import"] is False, "e-mail has no browser session"
    assert QR not in str(asked)
    path = f"/v1/accounts/{account}/challenge/picture"
    picture = await service.http.get(path)
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert picture.content == pictures.qr(QR)
    assert picture.content.startswith(PNG)
    assert picture.headers["cache-control"] == "no-store"
    text = await service.http.get(path, headers={"Accept": "text/plain"})
    assert (text.text, text.headers["cache-control"]) == (QR, "no-store")
    assert text.headers["content-type"].startswith("text/plain")
    for stream in ("EVENTS", f"KV_{service.sessions.name}"):
        assert not [m.subject async for m in stream_reader.read(service.bus.js, stream, ">") if QR.encode() in m.data]


async def test_a_code_for_the_phone_is_large_letters(service: Service):
    account = (await service.create())["id"]
    await show(service, account, "code_to_enter", b"ABCD-2345")
    path = f"/v1/accounts/{account}/challenge/picture"
    assert (await service.http.get(path)).content == pictures.letters("ABCD-2345")
    assert (await service.http.get(path, headers={"Accept": "text/plain"})).text == "ABCD-2345"


async def test_a_screenshot_is_given_as_it_is_and_has_no_text(service: Service):
    account = (await service.create())["id"]
    await show(service, account, "image/png", PNG + b"pixels")
    path = f"/v1/accounts/{account}/challenge/picture"
    assert (await service.http.get(path)).content == PNG + b"pixels"
    refused = await service.http.get(path, headers={"Accept": "text/plain"})
    assert (refused.status_code, refused.json()["reason"]) == (406, "not_acceptable")


async def test_only_operators_see_it(service: Service):
    account = (await service.create())["id"]
    await show(service, account, "qr", QR.encode())
    for path in (f"/v1/accounts/{account}/challenge", f"/v1/accounts/{account}/challenge/picture"):
        assert (await service.http.get(path, headers=service.token(Role.VIEWER))).status_code == 403
        assert (await service.http.get(path, headers={"Authorization": ""})).status_code == 401
        assert (await service.http.get(path, headers=service.token(Role.OPERATOR))).status_code == 200


async def test_what_is_not_there_or_over_is_said_in_words(service: Service):
    account = (await service.create())["id"]
    path = f"/v1/accounts/{account}/challenge/picture"
    none = await service.http.get(path)
    assert (none.status_code, none.json()["reason"]) == (404, "no_challenge")
    await service.report(account, SessionStatus.AWAITING_CODE, challenge=Challenge(id="c", kind="code"))
    blind = await service.http.get(path)
    assert (blind.status_code, blind.json()["reason"]) == (404, "no_picture")
    await show(service, account, "qr", QR.encode(), seconds=-1)
    over = await service.http.get(path)
    assert (over.status_code, over.json()["reason"]) == (410, "challenge_expired")
    await service.report(account, SessionStatus.READY)
    assert (await service.http.get(f"/v1/accounts/{account}/challenge")).status_code == 404
    assert (await service.http.get("/v1/accounts/acc_none/challenge/picture")).status_code == 404


@pytest.mark.parametrize("moved", ["acc_other", "acc_"])
async def test_a_picture_copied_to_another_account_does_not_open(service: Service, moved: str):
    account = (await service.create())["id"]
    await show(service, account, "qr", QR.encode())
    sealer = Sealer.from_keys(service.settings.sealing_keys).for_channel("email")
    bucket = Bucket(service.bus, subjects.bucket("sessions", Channel.EMAIL), ShownChallenge)
    entry = await bucket.get(subjects.shown_key(account))
    foreign = entry.value.model_copy(update={"sealed": sealer.seal(QR.encode(), sealing.shown(moved))})
    await bucket.put(subjects.shown_key(account), foreign)
    refused = await service.http.get(f"/v1/accounts/{account}/challenge/picture")
    assert refused.status_code == 500
    assert QR not in refused.text


def test_pictures_have_a_quiet_zone_and_unknown_letters_stay_blank():
    assert pictures.letters("a1") == pictures.letters("A1")
    assert pictures.letters("?") == pictures.letters(" ")
    width = int.from_bytes(BytesIO(pictures.qr("x")).getvalue()[16:20], "big")
    assert width == (21 + 2 * 4) * 8
