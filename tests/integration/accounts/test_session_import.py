"""Session import over HTTP on a real NATS and store; where the holder matters, channelkit itself plays the channel."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from accounts.imports import tidying
from contracts import sealing, subjects
from contracts.channels import Channel
from contracts.state import DesiredAccount, ImportedSession, SessionState, SessionStatus
from servicekit import stream_reader
from servicekit.auth import Role
from servicekit.clock import utcnow
from servicekit.errors import Unavailable
from servicekit.kv import Bucket
from servicekit.objects import ObjectBucket
from servicekit.secrets import Sealer

from tests.support.servers import NatsServer

from .conftest import Service, eventually, make_settings, prepare, ready, serve

CHUNK = 1_024
SESSION = secrets.token_bytes(3 * CHUNK + 7)


@pytest.fixture
async def service(fresh_nats: NatsServer, mongo_url: str, fresh_db: str) -> AsyncIterator[Service]:
    settings = make_settings(
        fresh_nats.url, mongo_url, fresh_db,
        channels="email,whatsapp", import_chunk_bytes=CHUNK, import_max_bytes=1 << 20, imports_open=4,
    )  # fmt: skip
    await prepare(fresh_nats.url, settings)
    async for running in serve(settings):
        yield await ready(running)


@pytest.fixture
async def account(service: Service) -> str:
    return await whatsapp(service)


async def whatsapp(service: Service) -> str:
    body = {"name": "Toko", "channel": "whatsapp"}
    return (await service.http.post("/v1/accounts", json=body)).json()["id"]


def announced(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


async def begin(service: Service, account: str, data: bytes = SESSION) -> dict[str, Any]:
    answer = await service.http.post(f"/v1/accounts/{account}/session-imports", json=announced(data))
    assert answer.status_code in {200, 201}, answer.text
    return answer.json() | {"new": answer.status_code == 201}


async def put(
    service: Service, begun: dict[str, Any], number: int, data: bytes = SESSION, digest: str | None = None
) -> httpx.Response:
    piece = data[number * CHUNK : (number + 1) * CHUNK]
    found = digest or base64.b64encode(hashlib.sha256(piece).digest()).decode()
    path = f"/v1/accounts/{begun['account_id']}/session-imports/{begun['id']}/chunks/{number}"
    return await service.http.put(path, content=piece, headers={"Content-Digest": f"sha-256=:{found}:"})


async def uploaded(service: Service, account: str, data: bytes = SESSION) -> dict[str, Any]:
    begun = await begin(service, account, data)
    for number in begun["missing"]:
        assert (await put(service, begun, number, data)).status_code == 204
    return begun


async def complete(service: Service, begun: dict[str, Any]) -> httpx.Response:
    return await service.http.post(f"/v1/accounts/{begun['account_id']}/session-imports/{begun['id']}/complete")


async def read(service: Service, begun: dict[str, Any]) -> dict[str, Any]:
    path = f"/v1/accounts/{begun['account_id']}/session-imports/{begun['id']}"
    return (await service.http.get(path)).json()


async def desired(service: Service, account: str) -> DesiredAccount:
    """Return the projected desired state that names an imported session."""
    bucket = Bucket(service.bus, subjects.bucket("accounts", Channel.WHATSAPP), DesiredAccount)

    async def named() -> DesiredAccount | None:
        entry = await bucket.get(account)
        return entry.value if entry and entry.value.session_import else None

    return await eventually(named)


def vault(service: Service) -> ObjectBucket:
    return ObjectBucket(service.bus, "vault")


async def objects(service: Service) -> set[str]:
    return {stored.id async for stored in vault(service).all()}


async def test_a_session_in_pieces_becomes_the_desired_state_sealed_for_its_channel(service: Service, account: str):
    begun = await uploaded(service, account)
    assert (begun["chunks_total"], begun["chunk_bytes"], begun["state"]) == (4, CHUNK, "open")
    done = await complete(service, begun)
    assert (done.status_code, done.json()["state"], done.json()["missing"]) == (200, "complete", [])
    wanted = await desired(service, account)
    named = wanted.session_import
    assert named.login_version == wanted.login_version == wanted.version
    assert await objects(service) == {named.object}, "the pieces are gone"
    sealer = Sealer.from_keys(service.settings.sealing_keys).for_channel("whatsapp")
    sealed = (await vault(service).get(named.object)).decode()
    assert sealer.open(sealed, sealing.imported(account, begun["id"])) == SESSION
    lines = (await service.http.get(f"/v1/accounts/{account}/logs")).json()["items"]
    assert [line["text"].split(":")[0] for line in lines] == [
        "Session imported by admin",
        "Session import begun by admin",
    ]


async def test_nothing_of_it_is_unsealed_in_the_object_store_while_half_uploaded(service: Service, account: str):
    begun = await begin(service, account)
    await put(service, begun, 0)
    async for msg in stream_reader.read(service.bus.js, "OBJ_vault", ">"):
        assert SESSION[:32] not in msg.data
        assert base64.b64encode(SESSION[:30]) not in msg.data


async def test_an_upload_goes_on_where_it_was_cut_also_after_a_new_start_of_the_service(service: Service, account: str):
    begun = await begin(service, account)
    await put(service, begun, 2)
    again = make_settings(service.settings.nats_url, service.settings.mongo_url, service.settings.mongo_db)
    again = again.model_copy(
        update={
            "sealing_keys": service.settings.sealing_keys,
            "channels": "email,whatsapp",
            "import_chunk_bytes": 9_999,
        }
    )
    async for other in serve(again):
        await ready(other)
        resumed = await begin(other, account)
        assert (resumed["new"], resumed["id"], resumed["missing"]) == (False, begun["id"], [0, 1, 3])
        for number in resumed["missing"]:
            assert (await put(other, resumed, number)).status_code == 204
        assert (await complete(other, resumed)).json()["state"] == "complete"


async def test_a_chunk_may_come_twice_and_a_wrong_one_is_refused(service: Service, account: str):
    begun = await begin(service, account)
    assert (await put(service, begun, 0)).status_code == 204
    first = await objects(service)
    assert (await put(service, begun, 0)).status_code == 204
    assert await objects(service) == first
    other = secrets.token_bytes(len(SESSION))
    assert (await put(service, begun, 0, other)).status_code == 204, "another content replaces it"
    assert len(await objects(service)) == 1
    wrong = await put(service, begun, 1, digest=base64.b64encode(bytes(32)).decode())
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "Content-Digest")
    assert (await put(service, begun, 1, digest="%%%")).status_code == 422
    assert (await put(service, begun, 3, SESSION + b"x")).status_code == 422, "the last one is too long"
    assert (await put(service, begun, 4, SESSION + bytes(CHUNK))).status_code == 404
    assert (await put(service, begun, -1)).status_code == 404
    path = f"/v1/accounts/{account}/session-imports/{begun['id']}/chunks/1"
    assert (await service.http.put(path, content=b"x")).status_code == 422
    huge = await service.http.put(path, content=bytes(2 << 20), headers={"Content-Digest": "sha-256=:AAAA:"})
    assert huge.status_code == 413


async def test_what_is_incomplete_or_does_not_fit_its_digest_is_not_handed_over(service: Service, account: str):
    begun = await begin(service, account)
    await put(service, begun, 1)
    refused = await complete(service, begun)
    assert (refused.status_code, refused.json()["reason"]) == (409, "import_incomplete")
    assert "3 chunks are missing: 0, 2, 3" in refused.json()["detail"]
    other = secrets.token_bytes(len(SESSION))
    for number in range(4):
        await put(service, begun, number, other)
    refused = await complete(service, begun)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "sha256")
    assert (await read(service, begun))["state"] == "open"
    assert (await service.http.get(f"/v1/accounts/{account}")).json()["version"] == 1


async def test_a_piece_lost_from_the_object_store_is_asked_for_again(service: Service, account: str):
    begun = await begin(service, account)
    await put(service, begun, 0)
    await vault(service).delete(next(iter(await objects(service))))
    for number in (1, 2, 3):
        await put(service, begun, number)
    refused = await complete(service, begun)
    assert (refused.status_code, refused.json()["reason"]) == (409, "import_incomplete")
    assert (await read(service, begun))["missing"] == [0]


async def test_completing_twice_also_at_once_changes_the_account_once(service: Service, account: str):
    begun = await uploaded(service, account)
    answers = await asyncio.gather(*(complete(service, begun) for _ in range(3)))
    assert [a.status_code for a in answers] == [200] * 3
    assert (await service.http.get(f"/v1/accounts/{account}")).json()["version"] == 2
    again = await begin(service, account)
    assert (again["new"], again["state"]) == (False, "complete"), "the very same session is not imported again"
    assert (await put(service, begun, 0)).json()["reason"] == "import_complete"
    assert len(await objects(service)) == 1


@pytest.mark.parametrize("crash", ["import.after_chunk", "import.after_object", "import.after_account"])
async def test_a_crash_at_any_step_is_healed_by_doing_it_again(service: Service, account: str, crash: str, monkeypatch):
    begun = await begin(service, account)
    for number in range(3):
        await put(service, begun, number)

    def failing(name: str) -> None:
        if name == crash:
            raise Unavailable("killed here")

    monkeypatch.setattr("accounts.imports.usecases.failpoint", failing)
    await put(service, begun, 3)
    await complete(service, begun)
    monkeypatch.undo()
    assert (await put(service, begun, 3)).status_code in {204, 409}
    done = await complete(service, begun)
    assert (done.status_code, done.json()["state"]) == (200, "complete")
    wanted = await desired(service, account)
    assert wanted.version == 2
    assert wanted.session_import.object in await objects(service)


async def test_orphans_of_a_crash_and_expired_half_uploads_are_tidied_away(service: Service, account: str, monkeypatch):
    begun = await begin(service, account)
    await put(service, begun, 0)
    to = service.ctx.importing
    orphan = await vault(service).put(b"left by a crash", {"kurir-import": "imp_x"})
    foreign = await vault(service).put(b"a channel's own", {"kurir-channel": "whatsapp"})
    await tidying.tidy(to)
    assert {orphan, foreign} < await objects(service), "what is young may belong to an upload under way"
    monkeypatch.setattr(tidying, "ORPHAN_SECONDS", -60.0)
    await tidying.tidy(to)
    assert orphan not in await objects(service)
    assert foreign in await objects(service)
    assert (await read(service, begun))["missing"] == [1, 2, 3]
    await to.store._imports.update_one({"_id": begun["id"]}, {"$set": {"expires_at": begun_at(begun)}})
    assert (await put(service, begun, 1)).json()["reason"] == "import_expired"
    await tidying.tidy(to)
    assert await objects(service) == {foreign}
    assert (await begin(service, account))["new"]


def begun_at(begun: dict[str, Any]) -> Any:
    from datetime import datetime  # noqa: PLC0415

    return datetime.fromisoformat(begun["created_at"])


async def test_limits_are_said_in_words_and_giving_up_makes_room(service: Service, account: str):
    half = [await begin(service, account, secrets.token_bytes(10)) for _ in range(3)]
    body = announced(b"one more")
    full = await service.http.post(f"/v1/accounts/{account}/session-imports", json=body)
    assert (full.status_code, full.json()["reason"]) == (409, "too_many_imports")
    path = f"/v1/accounts/{account}/session-imports/{half[0]['id']}"
    assert (await service.http.delete(path)).status_code == 204
    assert (await service.http.get(path)).status_code == 404
    assert (await service.http.post(f"/v1/accounts/{account}/session-imports", json=body)).status_code == 201
    other = await whatsapp(service)
    await begin(service, other)
    refused = await service.http.post(f"/v1/accounts/{await whatsapp(service)}/session-imports", json=announced(b"y"))
    assert refused.status_code == 409, "four of all accounts"
    large = await service.http.post(
        f"/v1/accounts/{account}/session-imports", json={"size": (1 << 20) + 1, "sha256": "0" * 64}
    )
    assert (large.status_code, large.json()["errors"][0]["field"]) == (422, "size")


async def test_only_operators_of_the_right_account_and_channel_may(service: Service, account: str):
    path = f"/v1/accounts/{account}/session-imports"
    begun = await begin(service, account)
    for role, status in ((Role.VIEWER, 403), (Role.OPERATOR, 200)):
        headers = service.token(role)
        assert (await service.http.post(path, json=announced(SESSION), headers=headers)).status_code == status
        assert (await service.http.get(path, headers=headers)).status_code == status
        assert (await service.http.get(f"{path}/{begun['id']}", headers=headers)).status_code == status
    assert (await service.http.get(path, headers={"Authorization": ""})).status_code == 401
    other = await whatsapp(service)
    assert (await service.http.get(f"/v1/accounts/{other}/session-imports/{begun['id']}")).status_code == 404
    mail = (await service.create())["id"]
    refused = await service.http.post(f"/v1/accounts/{mail}/session-imports", json=announced(SESSION))
    assert (refused.status_code, refused.json()["reason"]) == (409, "no_browser_session")
    assert "Email does not log in with a browser" in refused.json()["detail"]


async def test_deleting_the_account_removes_every_trace(service: Service, account: str):
    done = await uploaded(service, account)
    await complete(service, done)
    half = await begin(service, account, b"another session")
    await put(service, half, 0, b"another session")
    assert len(await objects(service)) == 2
    assert (await service.http.delete(f"/v1/accounts/{account}")).status_code == 202

    async def gone() -> bool:
        return (await service.http.get(f"/v1/accounts/{account}")).status_code == 404

    await eventually(gone)
    assert not await objects(service)
    assert not await service.ctx.importing.store.all()


async def test_a_later_import_replaces_one_that_nobody_took_over(service: Service, account: str):
    first = await uploaded(service, account)
    await complete(service, first)
    second = await uploaded(service, account, b"newer" * 100)
    await complete(service, second)
    assert ((await read(service, first))["state"], (await read(service, second))["state"]) == ("replaced", "complete")
    wanted = await desired(service, account)
    assert await objects(service) == {wanted.session_import.object}


async def test_an_import_that_its_channel_refused_is_not_called_taken_over(service: Service, account: str):
    begun = await uploaded(service, account)
    await complete(service, begun)
    wanted = await desired(service, account)
    at = utcnow()
    said = SessionState(
        account_id=account, channel=Channel.WHATSAPP, status=SessionStatus.READY, since=at, updated_at=at,
        refused_import=begun["id"],
    )  # fmt: skip
    await Bucket(service.bus, subjects.bucket("sessions", Channel.WHATSAPP), SessionState).put(account, said)
    await vault(service).delete(wanted.session_import.object)

    async def refused() -> bool:
        return (await read(service, begun))["state"] == "refused"

    await eventually(refused)


async def test_an_edit_keeps_the_import_and_the_state_tells_when_it_was_taken_over(service: Service, account: str):
    begun = await uploaded(service, account)
    await complete(service, begun)
    await service.http.patch(f"/v1/accounts/{account}", json={"name": "Toko baru", "version": 2})
    wanted = await desired(service, account)
    assert wanted.session_import == ImportedSession(
        id=begun["id"], object=wanted.session_import.object, login_version=2
    )
    await vault(service).delete(wanted.session_import.object)
    assert (await read(service, begun))["state"] == "taken_over"
