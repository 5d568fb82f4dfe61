"""Bad input on a whole platform: a clear error with its field, nothing half-written, nothing lost."""

import asyncio
import csv
import io
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from contracts import subjects
from contracts.channels import Channel
from kurir.demo.rest import wait_for

from tests.support.live import live

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUICK = {"CHANNEL_EMAIL_THROTTLE_WAIT_SECONDS": "2", "CHANNEL_EMAIL_SWEEP_SECONDS": "3"}
FORGED = "\r\n.\r\nMAIL FROM:<evil@evil.test>\r\nRCPT TO:<victim@practice.test>\r\nDATA\r\nSubject: forged\r\n\r\nbuy\r\n.\r\n"
PROBLEM = "application/problem+json"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kurir(tmp_path_factory):
    """Yield one platform for the module, quick to try again and to sweep."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK.items():
            patch.setenv(name, value)
        async with live(tmp_path_factory.mktemp("bad") / "kurir") as running:
            yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def account(kurir):
    """Yield a ready account."""
    return await kurir.story.account()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_violation(kurir):
    """Whatever went in, the mail server never saw a breach of the protocol."""
    yield
    assert (await kurir.mail.counts())["violations"] == 0


async def ask(kurir, method, service, path, **options):
    """Return the answer whatever it is."""
    return await kurir.rest.http.request(method, f"{kurir.rest.services[service]}{path}", **options)


async def refused(kurir, status, method, service, path, **options):
    """Return the fields that a refusal names."""
    answer = await ask(kurir, method, service, path, **options)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    return {one["field"]: one["message"] for one in answer.json().get("errors", [])}


async def imported(kurir, body, **params):
    """Import a CSV into a list of its own; return (list, import)."""
    name = {"name": f"list {os.urandom(4).hex()}"}
    made = (await kurir.rest.call("POST", "campaigns", "/v1/lists", json=name))["id"]
    begun = await kurir.rest.call(
        "POST", "campaigns", "/v1/contacts/imports", params={"lists": made, **params}, content=body
    )

    async def done():
        found = await kurir.rest.call("GET", "campaigns", f"/v1/contacts/imports/{begun['id']}")
        return found if found["status"] == "done" else None

    return made, await wait_for("the import", done, 30)


async def draft(kurir, account, contacts, **fields):
    body = {"name": "Bad", "channel": "email", "accounts": [account], "lists": [contacts], "subject": "Hi", "text": "x"}
    return await kurir.rest.call("POST", "campaigns", "/v1/campaigns", json={**body, **fields})


async def processed(kurir, campaign):
    """Process a campaign and return its rows once each has an end."""
    await kurir.rest.call("POST", "campaigns", f"/v1/campaigns/{campaign}/process")

    async def done():
        return (await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}"))["status"] == "done"

    await wait_for("the campaign to end", done, 60)
    return [row async for row in kurir.rest.items("campaigns", "/v1/outbox", campaign=campaign)]


async def test_a_csv_with_bom_semicolons_300_columns_and_formulas(kurir):
    columns = ["Nama", "Surel", *(f"K{i}" for i in range(298))]
    lines = [
        ["=HYPERLINK(1)", "f1@practice.test", *["=1+1"] * 298],
        ["Siti", "not an address", *["x"] * 298],
        ["Budi", "f2@practice.test", *["@SUM(1)"] * 298],
    ]
    text = "\r\n".join(";".join(line) for line in [columns, *lines])
    contacts, found = await imported(kurir, b"\xef\xbb\xbf" + text.encode())
    assert (found["counts"]["inserted"], found["counts"]["rejected"], len(found["columns"])) == (2, 1, 300)
    problems = [p async for p in kurir.rest.items("campaigns", f"/v1/contacts/imports/{found['id']}/problems")]
    assert [(p["line"], p["field"]) for p in problems] == [(3, "email")]
    exported = await ask(kurir, "GET", "campaigns", "/v1/contacts/export", params={"list": contacts})
    cells = [cell for line in csv.reader(io.StringIO(exported.text.lstrip("\ufeff"))) for cell in line]
    assert "'=HYPERLINK(1)" in cells
    assert cells.count("'=1+1") == 298
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize(
    ("body", "params", "field"),
    [
        (b"name,email\nJos\xe9,j@practice.test\n", {"encoding": "utf-8"}, "encoding"),
        (b"name,email\n" + bytes(range(256)) * 20, {}, "file"),
        (b"x\x9cK\xcd", {"encoding": "zlib"}, "encoding"),
        (b"PK\x03\x04workbook", {}, "file"),
        (b"name,city\nSiti,Solo\n", {}, "mapping"),
        (b"", {}, "file"),
        (b"a," * 2_000 + b"email\n", {}, "file"),
        (b"email\nx@practice.test\n", {"lists": "nowhere"}, "lists"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_whole(kurir, body, params, field):
    before = [i["id"] async for i in kurir.rest.items("campaigns", "/v1/contacts/imports")]
    fields = await refused(kurir, 422, "POST", "campaigns", "/v1/contacts/imports", params=params, content=body)
    assert set(fields) == {field}
    assert [i["id"] async for i in kurir.rest.items("campaigns", "/v1/contacts/imports")] == before


async def test_smtp_commands_in_columns_reach_nobody(kurir, account):
    rows = [
        ["name", "email", "note"],
        [f"Siti{FORGED}", "inj1@practice.test", f"hello{FORGED}"],
        [".", "inj2@practice.test", ".\r\n..\r\n.\r\n"],
        ["Bcc: x@y.test\nX: 1", "inj3@practice.test", "a\x00b\r\n.\r\nQUIT"],
        ["Plain", f"victim@practice.test{FORGED}", "x"],
        ["Plain", "a@practice.test>\r\nRCPT TO:<victim@practice.test", "x"],
        ["Plain", "nul\x00@practice.test", "x"],
    ]
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    contacts, found = await imported(kurir, out.getvalue().encode())
    assert (found["counts"]["inserted"], found["counts"]["rejected"]) == (3, 3)
    before = (await kurir.mail.counts())["received"]
    made = await draft(kurir, account, contacts, subject="Hi {{ name }}", text="{{ note }}", html="<p>{{ note }}</p>")
    sent = await processed(kurir, made["id"])
    assert [row["state"] for row in sent] == ["sent"] * 3
    assert (await kurir.mail.counts())["received"] == before + 3
    assert await kurir.mail.messages(to="victim@practice.test") == []
    for n in (1, 2, 3):
        await _is_one_clean_message(kurir, f"inj{n}@practice.test")


async def _is_one_clean_message(kurir, address):
    [one] = await kurir.mail.messages(to=address)
    message = await kurir.mail.message(one["n"])
    names = [name.lower() for name, _ in message["headers"]]
    assert not {"bcc", "x"} & set(names)
    assert len(names) == len(set(names))
    lines = message["raw"].split(b"\r\n")
    assert all(len(line) <= 998 and b"\n" not in line and b"\r" not in line and b"\0" not in line for line in lines)


async def test_bad_addresses_and_names_are_refused_over_rest(kurir):
    for address in ("a@b.test\r\nBcc: c@d.test", "a\0@b.test", ".", "<a@b.test>", "a@b.test> SIZE=1", "@", "x" * 400):
        fields = await refused(kurir, 422, "POST", "campaigns", "/v1/contacts", json={"email": address})
        assert set(fields) == {"email"}
    made = await kurir.rest.call("POST", "campaigns", "/v1/contacts", json={"name": f"Ani{FORGED}"})
    assert "\n" not in made["name"]
    assert "\r" not in made["name"]


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in (1..100000000) %}x{% endfor %}",
        "{{" + " " * 60_000 + "}}",
        "{{" * 20_000,
        "{% assign a = 'xxxxxxxx' %}{% for i in (1..60) %}{% assign a = a | append: a %}{% endfor %}{{ a }}",
        "{% include 'secrets' %}",
    ],
)
async def test_a_template_that_never_ends_is_refused_and_the_service_goes_on(kurir, account, text):
    contacts, _ = await imported(kurir, b"email\nt1@practice.test\n")
    made = await draft(kurir, account, contacts)
    path = f"/v1/campaigns/{made['id']}"
    slow = asyncio.create_task(refused(kurir, 422, "PATCH", "campaigns", path, json={"version": 1, "text": text}))
    alive = await asyncio.wait_for(ask(kurir, "GET", "campaigns", "/livez"), 5)
    assert alive.status_code == 200
    assert set(await asyncio.wait_for(slow, 10)) == {"text"}
    assert (await kurir.rest.call("GET", "campaigns", path))["version"] == 1


async def test_an_unknown_variable_is_named_before_anything_is_sent(kurir, account):
    contacts, _ = await imported(kurir, b"email,city\nv1@practice.test,Solo\n")
    made = await draft(kurir, account, contacts, text="{{ ctiy }} {{ name | default: 'Kak' }}")
    path = f"/v1/campaigns/{made['id']}"
    fields = await refused(kurir, 422, "POST", "campaigns", f"{path}/process")
    assert "ctiy" in fields["variables"]
    assert (await kurir.rest.call("GET", "campaigns", path))["status"] == "draft"
    assert [r async for r in kurir.rest.items("campaigns", "/v1/outbox", campaign=made["id"])] == []


async def test_an_account_of_another_channel_is_refused_by_its_place(kurir, account):
    contacts, _ = await imported(kurir, b"email,telegram\nc1@practice.test,siti_c1\n")
    made = await draft(kurir, account, contacts, channel="telegram", subject=None)
    fields = await refused(kurir, 422, "POST", "campaigns", f"/v1/campaigns/{made['id']}/process")
    assert account in fields["accounts.0"]
    test = {"to": {"address": "siti_c1"}, "account": account}
    assert "account" in await refused(
        kurir, 422, "POST", "campaigns", f"/v1/campaigns/{made['id']}/test-send", json=test
    )
    new = {"name": "Tele", "channel": "telegram", "settings": {"client_id": "+628123456789"}}
    fields = await refused(kurir, 422, "POST", "accounts", "/v1/accounts", json=new)
    assert "subscribed to Telegram" in fields["channel"]


async def test_of_two_edits_at_once_one_wins_and_the_other_is_told(kurir, account):
    contact = await kurir.rest.call("POST", "campaigns", "/v1/contacts", json={"email": "two@practice.test"})
    contacts, _ = await imported(kurir, b"email\ne1@practice.test\n")
    made = await draft(kurir, account, contacts)
    version = (await kurir.rest.call("GET", "accounts", f"/v1/accounts/{account}"))["version"]
    for service, path, number in (
        ("accounts", f"/v1/accounts/{account}", version),
        ("campaigns", f"/v1/campaigns/{made['id']}", made["version"]),
        ("campaigns", f"/v1/contacts/{contact['id']}", contact["version"]),
    ):
        edits = [{"version": number, "name": f"edit {n}"} for n in range(8)]
        answers = await asyncio.gather(*(ask(kurir, "PATCH", service, path, json=edit) for edit in edits))
        winners = [edit for edit, answer in zip(edits, answers, strict=True) if answer.status_code == 200]
        assert len(winners) == 1, [a.text for a in answers]
        assert {a.status_code for a in answers} - {200} <= {409, 412}
        found = await kurir.rest.call("GET", service, path)
        assert (found["name"], found["version"]) == (winners[0]["name"], number + 1)


async def test_an_unknown_login_code_is_refused_with_its_reason(kurir, account):
    given = {"challenge_id": "none-of-ours", "answer": "12345"}
    answer = await ask(kurir, "POST", "accounts", f"/v1/accounts/{account}/challenge/answer", json=given)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert answer.json()["reason"]
    assert "12345" not in answer.text
    session = await kurir.rest.call("GET", "accounts", f"/v1/accounts/{account}/session")
    assert session["status"] == "ready"


@pytest.mark.parametrize("megabytes", [30, 40])
async def test_an_attachment_too_large_is_refused_and_not_kept(kurir, megabytes):
    files = {"file": ("big.bin", b"x" * (megabytes << 20), "application/octet-stream")}
    await refused(kurir, 413, "POST", "campaigns", "/v1/media", files=files)
    assert [m async for m in kurir.rest.items("campaigns", "/v1/media")] == []


@pytest.mark.parametrize(("service", "path"), [("accounts", "/v1/accounts"), ("campaigns", "/v1/campaigns")])
async def test_json_over_the_limit_or_out_of_its_mind_is_refused(kurir, service, path):
    base = {"name": "x", "channel": "email"}
    await refused(kurir, 413, "POST", service, path, json={**base, "notes": "x" * (2 << 20)})

    async def endless():
        yield b'{"name": "x", "channel": "email", "notes": "'
        for _ in range(40):
            yield b"x" * 65_536

    await refused(kurir, 413, "POST", service, path, content=endless(), headers={"Content-Type": "application/json"})
    for body in (b"[" * 500_000, b'{"name":', b"\xff\xfe", b'{"name": {"$gt": ""}, "channel": "email"}', b"NaN"):
        answer = await ask(kurir, "POST", service, path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), (body[:40], answer.text)
        assert answer.headers["content-type"] == PROBLEM


def _later():
    return (datetime.now(UTC) + timedelta(minutes=5)).isoformat()


async def test_a_command_for_a_deleted_account_ends_as_failed(kurir):
    story = kurir.tell(20)
    await kurir.mail.put_account("gone@practice.test", "rehearsal")
    account = await story.account()
    await kurir.rest.call("DELETE", "accounts", f"/v1/accounts/{account}")

    async def gone():
        return (await ask(kurir, "GET", "accounts", f"/v1/accounts/{account}")).status_code in (404, 410)

    await wait_for("the account to be gone", gone, 30)
    connection = await kurir.bus()
    stream = connection.jetstream()
    command = {
        "id": "late", "source": "crm", "account_id": account, "not_after": _later(),
        "to": {"address": "late@practice.test"}, "content": {"text": "t"},
    }  # fmt: skip
    events = await stream.subscribe(subjects.inbox("email", account, "*"), ordered_consumer=True)
    await stream.publish(subjects.send(Channel.EMAIL, account, "now"), json.dumps(command).encode())
    outcome = await events.next_msg(timeout=30)
    assert (outcome.subject.split(".")[3], json.loads(outcome.data)["reason"]) == ("failed", "account_deleted")
    await connection.close()
    assert await kurir.mail.messages(to="late@practice.test") == []


async def conversation_of(kurir, address):
    async def found():
        return [c async for c in kurir.rest.items("campaigns", "/v1/conversations", q=address)]

    return (await wait_for(f"the conversation of {address}", found, 20))[0]


async def messages_of(kurir, conversation):
    path = f"/v1/conversations/{conversation['id']}/messages"
    return [m async for m in kurir.rest.items("campaigns", path)]


async def test_5_mb_of_inbound_mail_is_kept_whole_and_what_follows_is_read(kurir, account):
    await kurir.mail.inject("toko", sender="large@elsewhere.test", subject="Besar", size_mb=5)
    page = "<div>" * 100_000 + "<script>alert(1)</script><b onclick=x>Halo</b>"
    await kurir.mail.inject("toko", sender="deep@elsewhere.test", subject="Dalam", html=page)
    comments = b"From: " + b"(" * 30_000 + b"\r\nSubject: broken\r\n\r\nx"
    await kurir.mail.inject("toko", raw=comments)
    await kurir.mail.inject("toko", sender="after@elsewhere.test", html="<p onload=x>Masih?<script>x</script></p>")
    [large] = await messages_of(kurir, await conversation_of(kurir, "large@elsewhere.test"))
    assert (large["stub"], [a["filename"] for a in large["attachments"]]) == (None, ["message.txt"])
    assert large["attachments"][0]["size"] >= 4_900_000
    [deep] = await messages_of(kurir, await conversation_of(kurir, "deep@elsewhere.test"))
    assert deep["html"] is None
    [after] = await messages_of(kurir, await conversation_of(kurir, "after@elsewhere.test"))
    assert after["html"].strip() == "<p>Masih?</p>"


async def test_a_reply_button_pressed_twice_sends_once(kurir, account):
    await kurir.mail.inject("toko", sender="twice@practice.test", text="Ada stok?")
    conversation = await conversation_of(kurir, "twice@practice.test")
    path, key = f"/v1/conversations/{conversation['id']}/replies", {"Idempotency-Key": "press-1"}
    presses = [ask(kurir, "POST", "campaigns", path, json={"text": "Ada."}, headers=key) for _ in range(5)]
    answers = await asyncio.gather(*presses)
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1

    async def arrived():
        return await kurir.mail.messages(to="twice@practice.test")

    await wait_for("the answer", arrived, 20)
    await asyncio.sleep(1.5)  # a second copy would come now
    assert len(await arrived()) == 1


async def test_a_server_that_throttles_the_account_in_the_middle_of_a_list_fails_nobody(kurir, account):
    people = "".join(f"throttled-{n}@practice.test\n" for n in range(120))
    contacts, _ = await imported(kurir, b"email\n" + people.encode())
    await kurir.mail.set_faults(throttle_account=50)
    made = await draft(kurir, account, contacts)
    await kurir.rest.call("POST", "campaigns", f"/v1/campaigns/{made['id']}/process")
    path = f"/v1/campaigns/{made['id']}"

    async def stopped():
        session = await kurir.rest.call("GET", "accounts", f"/v1/accounts/{account}/session")
        return session["restricted_until"] and session

    session = await wait_for("the account to say that it is throttled", stopped, 30)
    assert "4.7.0" in session["restricted_reason"]
    counts = (await kurir.rest.call("GET", "campaigns", path))["counts"]
    assert counts.get("failed", 0) == 0
    await kurir.mail.clear_faults()

    async def done():
        return (await kurir.rest.call("GET", "campaigns", path))["status"] == "done"

    await wait_for("the campaign to end", done, 60)
    books = await kurir.books(made["id"], kurir.story)
    assert (books.sent, books.failed, books.unknown, books.cancelled) == (120, 0, 0, 0)
    assert (books.platform_received, books.duplicates) == (120, 0)
