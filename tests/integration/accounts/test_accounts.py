"""Accounts over REST: created, edited, switched, and projected for their channel."""

import asyncio
import json

import pytest
from contracts import subjects
from contracts.channels import Channel
from contracts.events import AccountChanged
from contracts.state import ALL, SessionStatus
from servicekit.auth import Role
from servicekit.secrets import Sealer

from .conftest import EMAIL, PASSWORD, Service, eventually


async def test_a_new_account_is_projected_with_credentials_only_its_channel_can_open(service: Service):
    made = await service.create(notes="Cabang Bandung")
    desired = await service.projected(made["id"], 1)
    assert (desired.status, desired.worker, desired.login_version) == ("active", True, 1)
    assert desired.settings["smtp"]["host"] == "mail.example.com"
    sealer = Sealer.from_keys(service.settings.sealing_keys).for_channel("email")
    assert json.loads(sealer.open(desired.credentials, made["id"])) == {"smtp_password": PASSWORD}
    assert made["credentials_set"] == ["smtp_password"]


async def test_its_event_is_relayed_once(service: Service):
    made = await service.create()

    async def relayed():
        subject = subjects.domain("accounts", "account", "changed")
        info = await service.bus.js.stream_info("EVENTS", subjects_filter=subject)
        return (info.state.subjects or {}).get(subject)

    assert await eventually(relayed) == 1
    event = await service.bus.js.get_msg("EVENTS", subject=subjects.domain("accounts", "account", "changed"))
    assert AccountChanged.model_validate_json(event.data).account_id == made["id"]
    await eventually(lambda: _is_empty(service))


async def _is_empty(service: Service) -> bool:
    return not await service.ctx.store.unsent(10)


async def test_the_same_idempotency_key_gives_the_same_account(service: Service):
    body = {"name": "Toko", "channel": "email", "settings": EMAIL, "credentials": {"smtp_password": PASSWORD}}
    key = {"Idempotency-Key": "form-17"}
    answers = await asyncio.gather(*(service.http.post("/v1/accounts", json=body, headers=key) for _ in range(5)))
    assert sorted(a.status_code for a in answers) == [200, 200, 200, 200, 201]
    assert len({a.json()["id"] for a in answers}) == 1
    other = await service.http.post("/v1/accounts", json=body | {"name": "Another"}, headers=key)
    assert (other.status_code, other.json()["reason"]) == (409, "idempotency_key_reused")


async def test_two_edits_at_once_one_wins(service: Service):
    made = await service.create()
    path, based = f"/v1/accounts/{made['id']}", {"If-Match": '"1"'}
    answers = await asyncio.gather(
        *(service.http.patch(path, json={"name": f"Name {i}"}, headers=based) for i in range(4))
    )
    assert sorted(a.status_code for a in answers) == [200, 412, 412, 412]
    lost = next(a for a in answers if a.status_code == 412)
    assert (lost.json()["reason"], lost.json()["version"], lost.headers["ETag"]) == ("stale_version", 2, '"2"')
    kept = await service.http.get(path)
    assert kept.json()["name"] == next(a for a in answers if a.status_code == 200).json()["name"]
    assert kept.headers["ETag"] == '"2"'


async def test_an_edit_must_say_what_it_is_based_on(service: Service):
    made = await service.create()
    path = f"/v1/accounts/{made['id']}"
    assert (await service.http.patch(path, json={"name": "x"})).status_code == 428
    assert (await service.http.patch(path, json={"name": "x", "version": 1})).status_code == 200
    assert (await service.http.patch(path, json={"name": "y"}, headers={"If-Match": "*"})).status_code == 200
    assert (await service.http.patch(path, json={"name": "y"}, headers={"If-Match": "abc"})).status_code == 422


async def test_a_name_keeps_the_login_and_credentials_or_settings_change_it(service: Service):
    made = await service.create()
    path = f"/v1/accounts/{made['id']}"
    await service.http.patch(path, json={"name": "Toko Baru", "notes": "x", "version": 1})
    named = await service.projected(made["id"], 2)
    assert (named.login_version, named.credentials is not None) == (1, True)
    await service.http.patch(path, json={"credentials": {"smtp_password": "another-one"}, "version": 2})
    assert (await service.projected(made["id"], 3)).login_version == 3
    moved = {**EMAIL, "smtp": {**EMAIL["smtp"], "host": "other.example.com"}}
    await service.http.patch(path, json={"settings": moved, "version": 3})
    desired = await service.projected(made["id"], 4)
    assert (desired.login_version, desired.settings["smtp"]["host"]) == (4, "other.example.com")
    sealer = Sealer.from_keys(service.settings.sealing_keys).for_channel("email")
    assert json.loads(sealer.open(desired.credentials, made["id"])) == {"smtp_password": "another-one"}


async def test_deactivate_and_worker_reach_the_channel(service: Service):
    made = await service.create()
    path = f"/v1/accounts/{made['id']}"
    assert (await service.http.post(f"{path}/deactivate")).json()["active"] is False
    assert (await service.projected(made["id"], 2)).status == "inactive"
    assert (await service.http.post(f"{path}/activate")).json()["active"] is True
    assert (await service.http.put(f"{path}/worker", json={"on": False})).json()["worker"] is False
    assert (await service.projected(made["id"], 4)).worker is False
    assert (await service.http.put(f"{path}/worker", json={"on": False})).json()["version"] == 4


async def test_the_worker_switch_for_all_stands_under_its_own_key(service: Service):
    await eventually(lambda: service.switch.get(ALL))
    answer = await service.http.put("/v1/worker", json={"on": False})
    assert answer.json()["on"] is False

    async def off():
        return (await service.switch.get(ALL)).value.worker is False

    await eventually(off)
    made = await service.create()
    assert made["worker"] is True
    assert made["session"]["worker"] == "off"
    assert (await service.http.get("/v1/worker")).json()["on"] is False


async def test_worker_says_stopping_until_the_channel_has_seen_it(service: Service):
    made = await service.create()
    await service.report(made["id"], observed_version=1)
    await service.http.put(f"/v1/accounts/{made['id']}/worker", json={"on": False})
    session = f"/v1/accounts/{made['id']}/session"
    assert (await service.http.get(session)).json()["worker"] == "stopping"
    await service.report(made["id"], observed_version=2, worker="off")
    assert (await service.http.get(session)).json()["worker"] == "off"


async def test_the_answer_to_worker_off_waits_for_the_channels_word(service: Service):
    made = await service.create()
    await service.report(made["id"], observed_version=1)
    path = f"/v1/accounts/{made['id']}/worker"
    asked = asyncio.create_task(service.http.put(path, json={"on": False}))
    await service.projected(made["id"], 2)
    await asyncio.sleep(0.2)
    assert not asked.done()
    await service.report(made["id"], observed_version=2, worker="off")
    assert (await asyncio.wait_for(asked, 1)).json()["session"]["worker"] == "off"


async def test_worker_off_is_answered_at_once_where_no_session_is_open(service: Service):
    made = await service.create()
    await service.report(made["id"], SessionStatus.FAILED, observed_version=1)
    path = f"/v1/accounts/{made['id']}/worker"
    await eventually(lambda: _known(service, made["id"]))
    await asyncio.wait_for(service.http.put(path, json={"on": False}), 1)


async def _known(service: Service, account_id: str) -> bool:
    return service.ctx.sessions.last(Channel.EMAIL, account_id) is not None


async def test_a_channel_without_subscription_is_refused_with_the_reason(service: Service):
    answer = await service.http.post("/v1/accounts", json={"name": "WA", "channel": "whatsapp"})
    assert answer.status_code == 422
    assert "make sure you are subscribed to WhatsApp Automation" in answer.json()["errors"][0]["message"]
    assert (await service.http.post("/v1/accounts", json={"name": "?", "channel": "fax"})).status_code == 422
    assert (await service.http.post("/v1/channels/telegram/test", json={})).status_code == 422


async def test_bad_input_names_the_field_and_writes_nothing(service: Service):
    body = {
        "name": "Toko",
        "channel": "email",
        "settings": {**EMAIL, "smtp": {"host": "x", "port": 0, "from_address": "a@b.c", "prot": 1}},
    }
    answer = await service.http.post("/v1/accounts", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "settings.smtp.prot", "message": "unknown field"}]
    del body["settings"]["smtp"]["prot"]
    answer = await service.http.post("/v1/accounts", json=body)
    assert [e["field"] for e in answer.json()["errors"]] == ["settings.smtp.port"]
    body["settings"]["smtp"]["port"] = 25
    answer = await service.http.post("/v1/accounts", json=body)
    assert answer.json()["errors"] == [{"field": "credentials.smtp_password", "message": "is required"}]
    answer = await service.http.post("/v1/accounts", json=body | {"colour": "red"})
    assert [e["field"] for e in answer.json()["errors"]] == ["colour"]
    body["settings"]["verify"] = False
    answer = await service.http.post("/v1/accounts", json=body)
    assert [e["field"] for e in answer.json()["errors"]] == ["settings.verify"]
    huge = await service.http.post("/v1/accounts", json={"notes": "x" * (3 << 20)})
    assert (huge.status_code, huge.json()["reason"]) == (413, "too_large")
    assert (await service.http.get("/v1/accounts")).json()["items"] == []


async def test_lists_are_narrowed_and_paged(service: Service):
    for i in range(5):
        await service.create(name=f"Toko {i}", active=i != 3)
    first = (await service.http.get("/v1/accounts", params={"limit": 2})).json()
    assert [a["name"] for a in first["items"]] == ["Toko 4", "Toko 3"]
    rest = (await service.http.get("/v1/accounts", params={"cursor": first["next_cursor"]})).json()
    assert ([a["name"] for a in rest["items"]], rest["next_cursor"]) == (["Toko 2", "Toko 1", "Toko 0"], None)

    async def names(**params) -> list[str]:
        return [a["name"] for a in (await service.http.get("/v1/accounts", params=params)).json()["items"]]

    assert await names(q="oko 1") == ["Toko 1"]
    assert await names(q="TOKO@example") == ["Toko 4", "Toko 3", "Toko 2", "Toko 1", "Toko 0"]
    assert await names(q=".*") == []
    assert await names(active=False) == ["Toko 3"]
    assert await names(status="off") == ["Toko 3"]
    assert await names(status="ready") == []
    assert await names(channel="telegram") == []
    assert await names(category="extractor") == []
    assert (await service.http.get("/v1/accounts", params={"cursor": "!"})).status_code == 422
    refused = await service.http.get("/v1/accounts", params={"status": "green"})
    assert [(e["field"], "'ready'" in e["message"], "<" in e["message"]) for e in refused.json()["errors"]] == [
        ("status", True, False)
    ]


async def test_the_dot_follows_the_session_and_its_proof_of_life(service: Service):
    made = await service.create()
    assert made["dot"] == "needs_attention"
    await service.report(made["id"])

    async def dots(status: str) -> bool:
        await service.ctx.sessions.carry(service.ctx.store)
        found = (await service.http.get("/v1/accounts", params={"status": status})).json()["items"]
        return [a["dot"] for a in found] == [status]

    await eventually(lambda: dots("ready"))
    old = (await service.sessions.get(made["id"])).value.last_proof_of_life.replace(year=2020)
    await service.report(made["id"], last_proof_of_life=old)
    await eventually(lambda: dots("needs_attention"))
    await service.report(made["id"], SessionStatus.FAILED, reason="wrong password")
    assert (await service.http.get("/v1/accounts", params={"status": "failed"})).status_code == 200


async def test_the_grid_downloads_as_csv_without_formulas(service: Service):
    await service.create(name="=HYPERLINK(1)", notes="a,\nb")
    answer = await service.http.get("/v1/accounts/export.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "'=HYPERLINK(1)" in answer.text
    assert PASSWORD not in answer.text


async def test_secrets_are_in_no_answer_no_log_and_no_store(service: Service, capfd: pytest.CaptureFixture[str]):
    made = await service.create()
    path = f"/v1/accounts/{made['id']}"
    answers = [
        (await service.http.get(path)).text,
        (await service.http.get("/v1/accounts")).text,
        (
            await service.http.patch(
                path, json={"credentials": {"smtp_password": PASSWORD, "pin": PASSWORD}, "version": 1}
            )
        ).text,
        (await service.http.patch(path, json={"credentials": {"smtp_password": [PASSWORD]}, "version": 1})).text,
    ]
    desired = await service.projected(made["id"], 1)
    documents = [repr(d) async for d in service.ctx.db["accounts"].find({})]
    captured = capfd.readouterr()
    for place in (*answers, desired.model_dump_json(), *documents, captured.out, captured.err):
        assert PASSWORD not in place


async def test_nats_away_refuses_writes_and_still_reads(service: Service, fresh_nats):
    made = await service.create()
    await service.projected(made["id"], 1)
    await asyncio.to_thread(fresh_nats.kill)

    async def refused():
        body = {"name": "B", "channel": "email", "settings": EMAIL, "credentials": {"smtp_password": PASSWORD}}
        answer = await service.http.post("/v1/accounts", json=body)
        return answer if answer.status_code == 503 else None

    answer = await eventually(refused)
    assert int(answer.headers["Retry-After"]) >= 1
    assert (await service.http.patch(f"/v1/accounts/{made['id']}", json={"name": "B", "version": 1})).status_code == 503
    assert (await service.http.get(f"/v1/accounts/{made['id']}")).json()["name"] == "Toko"
    assert (await service.http.get("/livez")).status_code == 200
    await asyncio.to_thread(fresh_nats.start)

    async def works():
        answer = await service.http.patch(f"/v1/accounts/{made['id']}", json={"name": "B", "version": 1})
        return answer.status_code == 200

    await eventually(works)
    assert (await service.projected(made["id"], 2)).version == 2


async def test_a_viewer_reads_and_changes_nothing(service: Service):
    made = await service.create()
    viewer = service.token(Role.VIEWER)
    path = f"/v1/accounts/{made['id']}"
    assert (await service.http.get(path, headers=viewer)).status_code == 200
    for method, url in [("PATCH", path), ("DELETE", path), ("POST", f"{path}/deactivate"), ("POST", "/v1/accounts")]:
        assert (await service.http.request(method, url, json={}, headers=viewer)).status_code == 403
    assert (await service.http.get(path)).json()["version"] == 1
