"""What people do while a campaign runs: pause, resume, cancel, retry, edit."""

import pytest
from contracts.state import LedgerEntry, Pace
from servicekit.clock import utcnow
from servicekit.ledger import Ledger

from tests.integration.campaigns.dispatch.kit import Service, failed, sent, until


async def test_pausing_takes_back_what_is_queued_and_resuming_sends_it_once(service: Service):
    await service.account()
    lane = service.lane()
    lane.hold.clear()
    campaign = await service.campaign(30)
    await service.process(campaign)
    await until(lambda: _in_state(service, campaign, "queued", 30))

    await service.call("POST", f"/v1/campaigns/{campaign}/pause")
    await until(lambda: _in_state(service, campaign, "pending", 30))
    lane.hold.set()  # the commands are still in the stream: the ledger keeps them from going out
    await until(lambda: len(lane.seen) == 30)
    assert not lane.delivered
    await service.call("POST", f"/v1/campaigns/{campaign}/resume")

    assert (await service.status(campaign, "done"))["counts"] == {"sent": 30}
    assert set(lane.delivered.values()) == {1}
    assert len(lane.delivered) == 30


async def _in_state(service: Service, campaign: str, state: str, wanted: int) -> bool:
    return len(await service.rows(campaign, state=state)) == wanted


async def test_a_message_being_sent_while_pausing_ends_as_the_platform_says(service: Service):
    await service.account()
    lane = service.lane(decide=lambda _: None)
    campaign = await service.campaign(3)
    await service.process(campaign)
    await until(lambda: len(lane.seen) == 3)

    await service.call("POST", f"/v1/campaigns/{campaign}/pause")
    await until(lambda: _wished(service, lane))
    for command in lane.seen:
        await lane.tell(command, sent(command))

    await until(lambda: _in_state(service, campaign, "sent", 3))


async def _wished(service: Service, lane) -> bool:
    found = [await Ledger(service.bus, "email").read(command.ledger_key) for command in lane.seen]
    return all(one is not None and one.entry.cancel == "paused" for one in found)


async def test_cancelling_ends_every_row_that_has_not_gone_out(service: Service):
    await service.account(pace=Pace(per_second=0.05))  # a window of 15
    lane = service.lane()
    lane.hold.clear()
    campaign = await service.campaign(40)
    await service.process(campaign)
    await until(lambda: _in_state(service, campaign, "queued", 15))

    await service.call("POST", f"/v1/campaigns/{campaign}/cancel")
    await until(lambda: _in_state(service, campaign, "cancelled", 40))
    lane.hold.set()
    await until(lambda: len(lane.seen) == 15)

    assert not lane.delivered
    await until(lambda: _counted(service, campaign, {"cancelled": 40}))


async def _counted(service: Service, campaign: str, counts: dict) -> bool:
    return (await service.read(campaign))["counts"] == counts


async def test_retrying_what_failed_uses_a_new_platform_key(service: Service):
    await service.account()
    lane = service.lane(decide=lambda c: failed(c) if c.wanted == 0 else sent(c))
    campaign = await service.campaign(5)
    await service.process(campaign)
    assert (await service.status(campaign, "done"))["counts"] == {"failed": 5}

    await service.call("POST", f"/v1/campaigns/{campaign}/retry")
    await until(lambda: _counted(service, campaign, {"sent": 5}))

    assert {command.wanted for command in lane.seen} == {0, 1}
    assert (await service.status(campaign, "done"))["status"] == "done"


async def test_an_unknown_row_is_sent_again_only_by_a_person_who_accepts_a_second_copy(service: Service):
    await service.account()
    unknown = LedgerEntry(state="unknown", reason="connection_lost", at=utcnow(), tries=1)
    service.lane(decide=lambda c: unknown if c.wanted == 0 else sent(c))
    campaign = await service.campaign(1)
    await service.process(campaign)
    await service.status(campaign, "done")
    [row] = (await service.call("GET", "/v1/outbox", params={"campaign": campaign}))["items"]
    assert row["state"] == "unknown"

    refused = await service.call("POST", f"/v1/outbox/{row['id']}/retry", expect=422)
    assert refused["errors"][0]["field"] == "accept_second_copy"
    await service.call("POST", f"/v1/outbox/{row['id']}/retry", json={"accept_second_copy": True})

    await until(lambda: _counted(service, campaign, {"sent": 1}))


async def test_one_row_is_cancelled_in_the_queue(service: Service):
    await service.account()
    lane = service.lane()
    lane.hold.clear()
    campaign = await service.campaign(4)
    await service.process(campaign)
    await until(lambda: _in_state(service, campaign, "queued", 4))
    row = (await service.rows(campaign))[2]

    answer = await service.call("POST", f"/v1/outbox/{row['_id']}/cancel")
    lane.hold.set()

    assert answer["state"] == "cancelled"
    assert (await service.status(campaign, "done"))["counts"] == {"sent": 3, "cancelled": 1}
    await service.call("POST", f"/v1/outbox/{row['_id']}/cancel", expect=409)


async def test_two_edits_at_once_the_second_is_told(service: Service):
    campaign = await service.campaign(1)
    version = (await service.read(campaign))["version"]
    path = f"/v1/campaigns/{campaign}"

    await service.call("PATCH", path, json={"name": "A"}, headers={"If-Match": f'"{version}"'})
    refused = await service.call("PATCH", path, json={"name": "B", "version": version}, expect=412)
    assert (refused["reason"], refused["version"]) == ("stale_version", version + 1)
    assert (await service.call("PATCH", path, json={"name": "B"}, expect=428))["reason"] == "version_required"

    assert (await service.read(campaign))["name"] == "A"


async def test_what_is_wrong_is_said_field_by_field(service: Service):
    await service.account("acc_1")
    body = {"name": "x", "channel": "email", "accounts": ["nobody"], "text": "Hi"}
    made = await service.call("POST", "/v1/campaigns", json=body)
    refused = await service.call("POST", f"/v1/campaigns/{made['id']}/process", expect=422)
    assert {e["field"] for e in refused["errors"]} == {"accounts.0", "subject", "lists"}

    early = {"schedule": {"hours": {"start": "8:30", "end": "17:00"}}, "version": 1}
    refused = await service.call("PATCH", f"/v1/campaigns/{made['id']}", json=early, expect=422)
    assert refused["errors"] == [{"field": "schedule.hours.start", "message": "must be HH:MM, such as 08:30"}]

    endless = {"text": "{% for i in (1..99999999) %}x{% endfor %}", "html": "{{ name | nofilter }}", "version": 1}
    refused = await service.call("PATCH", f"/v1/campaigns/{made['id']}", json=endless, expect=422)
    assert {e["field"] for e in refused["errors"]} == {"text", "html"}


async def test_a_variable_the_file_does_not_have_is_refused_when_saved(service: Service):
    campaign = await service.campaign(1)
    version = (await service.read(campaign))["version"]
    change = {"text": "{{ nmae }}", "version": version}
    refused = await service.call("PATCH", f"/v1/campaigns/{campaign}", json=change, expect=422)
    assert "unknown variable nmae: did you mean name?" in refused["errors"][0]["message"]


async def test_missing_variables_are_reported_before_anything_is_sent(service: Service):
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(1)
    lines = b"name,email,city\nA,a@example.com,Medan\nB,b@example.com,\n"
    await service.call("PUT", f"/v1/campaigns/{campaign}/file", content=lines)

    refused = await service.call("POST", f"/v1/campaigns/{campaign}/process", expect=422)
    advice = 'give a default, such as {{ city | default: "…" }}, or add ?allow_missing=true'
    assert refused["errors"] == [{"field": "variables", "message": m} for m in (advice, "b@example.com: city")]
    shown = await service.call("GET", f"/v1/campaigns/{campaign}/preview")
    assert [item["missing"] for item in shown["items"]] == [[], ["city"]]
    await service.process(campaign, allow_missing=True)

    assert (await service.status(campaign, "done"))["counts"] == {"sent": 2}
    assert len(lane.delivered) == 2


async def test_processing_twice_is_processing_once(service: Service):
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(8)
    await service.process(campaign)
    await service.process(campaign)
    await service.status(campaign, "done")
    assert set(lane.delivered.values()) == {1}


async def test_duplicates_collapse_and_the_suppressed_are_left_out(service: Service):
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(1)
    await service.call("POST", "/v1/suppressions", json={"channel": "email", "address": "b@example.com"})
    lines = b"name,email,city\nA,a@example.com,X\nAgain,A@Example.com,X\nB,b@example.com,X\nbad,nonsense,X\n"
    await service.call("PUT", f"/v1/campaigns/{campaign}/file", content=lines)
    await service.process(campaign)
    done = await service.status(campaign, "done")

    assert done["counts"] == {"sent": 1, "cancelled": 1}
    assert (done["expansion"]["duplicates"], done["expansion"]["rejected"]) == (1, 1)
    assert [c.to.address for c in lane.seen] == ["a@example.com"]
    [row] = await service.rows(campaign, state="cancelled")
    assert row["reason"] == "suppressed"


async def test_a_test_send_goes_out_at_once_and_once(service: Service):
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(2)
    body = {"to": {"address": "me@example.com"}}
    for _ in range(2):
        made = await service.call(
            "POST", f"/v1/campaigns/{campaign}/test-send", json=body, headers={"Idempotency-Key": "k1"}
        )
    await until(lambda: len(lane.delivered) == 1)
    assert lane.seen[0].kind == "test"
    assert lane.seen[0].content.text == "Kopi untuk Orang 0 di Kota 0"
    found = await until(lambda: _sent(service, made["row"]))
    assert found["kind"] == "test"


@pytest.mark.parametrize("address", ["bad", "a@b@example.com", "a@example.com\r\nBcc: b@example.com"])
async def test_a_test_send_to_what_is_no_address_is_refused_at_once(service: Service, address):
    await service.account()
    campaign = await service.campaign(1)
    body = {"to": {"address": address}}
    refused = await service.call("POST", f"/v1/campaigns/{campaign}/test-send", json=body, expect=422)
    assert [e["field"] for e in refused["errors"]] == ["to.address"]
    assert (await service.call("GET", "/v1/outbox"))["items"] == []


async def _sent(service: Service, row: str):
    found = await service.call("GET", f"/v1/outbox/{row}")
    return found if found["state"] == "sent" else None
