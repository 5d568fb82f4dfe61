"""Deleting: confirmed by a person, done by the channel, finished by accounts; repeatable at every point."""

import asyncio

from contracts import subjects
from contracts.channels import Channel
from contracts.events import LogLine, SessionChanged
from contracts.state import Lease, SessionStatus
from servicekit.clock import utcnow
from servicekit.kv import Bucket

from .conftest import EMAIL, PASSWORD, Service, eventually


async def gone(service: Service, account_id: str) -> bool:
    return (await service.http.get(f"/v1/accounts/{account_id}")).status_code == 404


async def count(service: Service, past_tense: str) -> int:
    subject = subjects.domain("accounts", "account", past_tense)
    info = await service.bus.js.stream_info("EVENTS", subjects_filter=subject)
    return (info.state.subjects or {}).get(subject, 0)


async def publish_session(service: Service, account_id: str, status: SessionStatus, at=None) -> None:
    event = SessionChanged(account_id=account_id, channel="email", status=status, at=at or utcnow())
    await service.bus.publish(subjects.session("email", account_id), event)


async def test_the_channel_is_awaited_and_then_everything_goes(service: Service):
    made = await service.create()
    account = made["id"]
    await service.report(account)
    line = LogLine(id="log1", account_id=account, channel="email", type="info", text="hello", at=utcnow())
    await service.bus.publish(subjects.log("email", account), line)
    await eventually(lambda: service.ctx.logs.page(account, after=None, limit=5))
    path = f"/v1/accounts/{account}"
    assert (await service.http.delete(path)).status_code == 202
    assert (await service.projected(account, 2)).status == "deleting"
    await asyncio.sleep(0.6)  # longer than the grace: a session exists, so its channel decides
    shown = (await service.http.get(path)).json()
    assert (shown["status"], shown["dot"], shown["active"]) == ("deleting", "off", False)
    await service.sessions.delete(account)  # the holder has logged out and removed its keys
    await publish_session(service, account, SessionStatus.DELETED)
    await eventually(lambda: gone(service, account))
    assert await service.desired.get(account) is None
    assert await service.ctx.logs.page(account, after=None, limit=5) == []
    assert (await service.http.delete(path)).status_code == 204
    await eventually(lambda: count(service, "deleted"))
    assert (await count(service, "deleting"), await count(service, "deleted")) == (1, 1)
    late = line.model_copy(update={"id": "log2", "text": "too late"})
    await service.bus.publish(subjects.log("email", account), late)
    await publish_session(service, account, SessionStatus.READY)
    await asyncio.sleep(0.5)
    assert await service.ctx.logs.page(account, after=None, limit=5) == []
    assert await gone(service, account)


async def test_an_account_that_never_had_a_session_is_deleted_here_and_its_credentials_at_once(service: Service):
    account = (await service.create())["id"]
    await service.projected(account, 1)
    assert (await service.http.delete(f"/v1/accounts/{account}")).status_code == 202
    assert (await service.projected(account, 2)).credentials is None
    await eventually(lambda: gone(service, account))
    assert await service.desired.get(account) is None


async def test_a_lease_means_that_a_channel_has_begun(service: Service):
    account = (await service.create())["id"]
    leases = Bucket(service.bus, subjects.bucket("leases", Channel.EMAIL), Lease)
    await leases.create(account, Lease(replica="r1", epoch=1, since=utcnow()))
    await service.http.delete(f"/v1/accounts/{account}")
    await asyncio.sleep(0.8)
    assert not await gone(service, account)
    await leases.delete(account)
    await eventually(lambda: gone(service, account))


async def test_an_account_being_deleted_takes_no_edits(service: Service):
    account = (await service.create())["id"]
    await service.report(account)
    path = f"/v1/accounts/{account}"
    await service.http.delete(path)
    assert (await service.http.delete(path)).status_code == 202
    for method, url, body in [
        ("PATCH", path, {"name": "x", "version": 2}),
        ("POST", f"{path}/activate", None),
        ("POST", f"{path}/deactivate", None),
        ("PUT", f"{path}/worker", {"on": True}),
        ("POST", f"{path}/test", {}),
        ("POST", f"{path}/challenge/answer", {"challenge_id": "c", "answer": "1"}),
    ]:
        assert (await service.http.request(method, url, json=body)).status_code == 409, url
    assert await count(service, "deleting") <= 1


async def test_pending_messages_move_only_to_a_living_account_of_the_channel(service: Service):
    account, heir = (await service.create())["id"], (await service.create())["id"]
    path = f"/v1/accounts/{account}"
    for wrong in ("acc_nobody", account):
        refused = await service.http.delete(path, params={"move_to": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "move_to")
    assert (await service.http.delete(path, params={"move_to": heir})).status_code == 202
    await eventually(lambda: count(service, "deleting"))
    event = await service.bus.js.get_msg("EVENTS", subject=subjects.domain("accounts", "account", "deleting"))
    assert f'"move_to":"{heir}"' in event.data.decode()


async def test_a_crash_in_the_middle_of_finishing_is_healed(service: Service):
    made = await service.create()
    account = made["id"]
    await service.report(account, SessionStatus.DELETED)
    stored = await service.ctx.store.get(account)
    await service.http.delete(f"/v1/accounts/{account}")
    await eventually(lambda: gone(service, account))
    await service.desired.create(account, stored.desired)  # as if the key had come back with an old backup
    await service.ctx.projection.everything()
    assert await service.desired.get(account) is None


async def test_the_key_of_a_deleted_account_creates_no_second_one(service: Service):
    body = {"name": "Toko", "channel": "email", "settings": EMAIL, "credentials": {"smtp_password": PASSWORD}}
    key = {"Idempotency-Key": "once"}
    account = (await service.http.post("/v1/accounts", json=body, headers=key)).json()["id"]
    await service.http.delete(f"/v1/accounts/{account}")
    await eventually(lambda: gone(service, account))
    again = await service.http.post("/v1/accounts", json=body, headers=key)
    assert (again.status_code, again.json()["reason"]) == (409, "idempotency_key_reused")


async def test_deleting_what_never_was_is_not_found(service: Service):
    assert (await service.http.delete("/v1/accounts/acc_nobody")).status_code == 404


async def test_session_events_in_any_order_keep_the_latest(service: Service):
    account = (await service.create())["id"]
    early, late = utcnow(), utcnow().replace(year=2099)
    await publish_session(service, account, SessionStatus.READY, late)
    await publish_session(service, account, SessionStatus.CONNECTING, early)

    async def kept():
        session = (await service.ctx.store.get(account)).session
        return session and session.status is SessionStatus.READY

    await eventually(kept)
    await asyncio.sleep(0.5)
    assert await kept()
