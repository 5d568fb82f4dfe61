"""Login answers, tests of settings and logs: the channel is played by a subscriber that opens what was sealed."""

import json

from contracts import subjects
from contracts.channels import Channel
from contracts.events import LogLine
from contracts.requests import AnswerLogin, Reply, TestSettings, TestStep
from contracts.state import Challenge, SessionStatus
from servicekit.auth import Role
from servicekit.clock import utcnow
from servicekit.secrets import Sealer

from .conftest import EMAIL, PASSWORD, Service, eventually


def sealer(service: Service) -> Sealer:
    return Sealer.from_keys(service.settings.sealing_keys).for_channel("email")


async def answering(service: Service, subject: str, reply: Reply) -> list[bytes]:
    """Answer every request on *subject* and return what was asked."""
    asked: list[bytes] = []

    async def respond(msg) -> None:
        asked.append(msg.data)
        await msg.respond(reply.model_dump_json().encode())

    await service.bus.nc.subscribe(subject, cb=respond)
    await service.bus.nc.flush()
    return asked


async def test_the_challenge_is_shown_and_its_answer_reaches_the_holder_sealed(service: Service):
    account = (await service.create())["id"]
    challenge = Challenge(id="ch_1", kind="code", hint="sent to +62•••88")
    await service.report(account, SessionStatus.AWAITING_CODE, challenge=challenge)
    shown = (await service.http.get(f"/v1/accounts/{account}/session")).json()
    assert (shown["status"], shown["challenge"]["id"]) == ("awaiting_code", "ch_1")
    asked = await answering(service, subjects.request(Channel.EMAIL, account, "answer"), Reply(ok=True))
    body = {"challenge_id": "ch_1", "answer": "123456"}
    assert (await service.http.post(f"/v1/accounts/{account}/challenge/answer", json=body)).status_code == 204
    request = AnswerLogin.model_validate_json(asked[0])
    assert b"123456" not in asked[0]
    assert sealer(service).open(request.answer, f"answer/{account}") == b"123456"


async def test_a_refused_answer_comes_back_with_its_reason(service: Service):
    account = (await service.create())["id"]
    refusal = Reply(ok=False, error="stale_challenge", detail="Another code was asked for.")
    await answering(service, subjects.request(Channel.EMAIL, account, "answer"), refusal)
    path, body = f"/v1/accounts/{account}/challenge/answer", {"challenge_id": "old", "answer": "1"}
    refused = await service.http.post(path, json=body)
    assert (refused.status_code, refused.json()["reason"]) == (422, "stale_challenge")
    assert (await service.http.post(path, json={"challenge_id": "old"})).status_code == 422
    assert (await service.http.post(path, json={"challenge_id": "old", "resend": True})).json()[
        "reason"
    ] == "stale_challenge"


async def test_nobody_holding_the_session_is_said_at_once(service: Service):
    account = (await service.create())["id"]
    body = {"challenge_id": "c", "answer": "1"}
    answer = await service.http.post(f"/v1/accounts/{account}/challenge/answer", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_responder")
    assert "req." not in answer.json()["detail"]  # a subject tells a person nothing
    assert answer.headers["Retry-After"]
    await service.http.post(f"/v1/accounts/{account}/deactivate")
    assert (await service.http.post(f"/v1/accounts/{account}/challenge/answer", json=body)).status_code == 409


async def test_unsaved_settings_are_tried_by_the_channel_and_nothing_is_saved(service: Service):
    steps = [TestStep(name="connect", ok=True), TestStep(name="auth", ok=False, detail="535 5.7.8 no")]
    reply = Reply(ok=False, error="auth", steps=steps)
    asked = await answering(service, subjects.test(Channel.EMAIL), reply)
    body = {"settings": {**EMAIL, "preset": "gmail"}, "credentials": {"smtp_password": PASSWORD}}
    answer = await service.http.post("/v1/channels/email/test", json=body)
    assert (answer.status_code, answer.json()["ok"]) == (200, False)
    assert answer.json()["steps"][1]["detail"] == "535 5.7.8 no"
    request = TestSettings.model_validate_json(asked[0])
    assert PASSWORD.encode() not in asked[0]
    assert json.loads(sealer(service).open(request.credentials, "test/email")) == {"smtp_password": PASSWORD}
    assert (await service.http.get("/v1/accounts")).json()["items"] == []
    body["settings"] = {"preset": "gmail", "smtp": {}}
    refused = await service.http.post("/v1/channels/email/test", json=body)
    assert refused.json()["errors"] == [{"field": "settings.smtp.from_address", "message": "is required"}]


async def test_saved_settings_are_tried_with_the_saved_credentials(service: Service):
    account = (await service.create())["id"]
    asked = await answering(service, subjects.test(Channel.EMAIL), Reply(ok=True))
    answer = await service.http.post(f"/v1/accounts/{account}/test")
    assert answer.json()["ok"] is True
    edited = {**EMAIL, "smtp": {**EMAIL["smtp"], "host": "new.example.com"}}
    await service.http.post(f"/v1/accounts/{account}/test", json={"settings": edited})
    first, second = (TestSettings.model_validate_json(data) for data in asked)
    assert json.loads(sealer(service).open(first.credentials, "test/email")) == {"smtp_password": PASSWORD}
    assert second.settings["smtp"]["host"] == "new.example.com"
    kept = (await service.http.get(f"/v1/accounts/{account}")).json()
    assert (kept["version"], kept["settings"]["smtp"]["host"]) == (1, "mail.example.com")


async def test_log_lines_are_kept_once_searched_and_paged(service: Service):
    account, other = (await service.create())["id"], (await service.create())["id"]
    lines = [("info", "Connecting"), ("error", "535 Wrong password"), ("info", "Email Automation is ready")]
    for copy in range(2):  # every event twice
        for i, (kind, text) in enumerate(lines):
            at = utcnow().replace(microsecond=i * 1000)
            line = LogLine(id=f"l{i}", account_id=account, channel="email", type=kind, text=text, at=at)
            await service.bus.publish(subjects.log("email", account), line, msg_id=f"{i}.{copy}")
    elsewhere = LogLine(id="x", account_id=other, channel="email", type="info", text="elsewhere", at=utcnow())
    await service.bus.publish(subjects.log("email", other), elsewhere)
    path = f"/v1/accounts/{account}/logs"

    async def texts(**params) -> list[str]:
        return [line["text"] for line in (await service.http.get(path, params=params)).json()["items"]]

    async def all_there() -> bool:
        return sorted(await texts()) == sorted(text for _, text in lines)

    await eventually(all_there)
    assert await texts(type="error") == ["535 Wrong password"]
    assert await texts(q="PASSWORD") == ["535 Wrong password"]
    first = (await service.http.get(path, params={"limit": 2})).json()
    rest = (await service.http.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    foreign = await service.http.get(f"/v1/accounts/{other}/logs", params={"cursor": first["next_cursor"]})
    assert foreign.status_code == 422
    assert (await service.http.get("/v1/accounts/acc_nobody/logs")).status_code == 404
    assert (await service.http.get(path, headers=service.token(Role.VIEWER))).status_code == 200


async def test_a_poison_report_blocks_no_other(service: Service):
    account = (await service.create())["id"]
    await service.bus.publish(subjects.log("email", account), b"not json")
    good = LogLine(id="g", account_id=account, channel="email", type="info", text="good", at=utcnow())
    await service.bus.publish(subjects.log("email", account), good)
    await eventually(lambda: service.ctx.logs.page(account, after=None, limit=5))

    async def dead():
        return (await service.bus.js.stream_info("DLQ")).state.messages

    assert await eventually(dead) == 1


async def test_channels_describe_their_form(service: Service):
    found = (await service.http.get("/v1/channels")).json()
    assert [c["channel"] for c in found] == ["email"]
    assert found[0]["category"] == "automation"
    assert [p["label"] for p in found[0]["presets"]] == [
        "Gmail",
        "Outlook/Microsoft 365",
        "Yahoo",
        "Zoho",
        "Custom SMTP",
    ]
    gmail = found[0]["presets"][0]["fills"]
    assert (gmail["settings.smtp.host"], gmail["settings.imap.append_sent"]) == ("smtp.gmail.com", False)
