"""Safety of a whole platform: who may do what, what leaks, and what stands open on a shared machine."""

import asyncio
import base64
import itertools
import json
import os
import re
import socket
import stat
from pathlib import Path
from urllib.parse import quote

import httpx
import jwt
import nats
import pytest
import pytest_asyncio
from kurir.demo import email
from kurir.demo.rest import wait_for
from kurir.tokens import issue
from motor.motor_asyncio import AsyncIOMotorClient

from tests.support.live import live
from tests.support.planted import PASSWORD, plant

pytestmark = pytest.mark.asyncio(loop_scope="module")
OPEN = {"/livez", "/readyz", "/healthz", "/metrics", "/openapi.json", "/u/{token}"}
ODD = [
    "\0", "a\0b", "$gt", '{"$gt": ""}', "[", "(a+)+$", "\\", "²", "9" * 40, "1e400", "NaN", "../../etc/passwd",
    "2026-13-01", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "a" * 3_000,
]  # fmt: skip


def cursor(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


CURSORS = [
    *(cursor(v) for v in (1, "x", True, {}, {"$gt": ""}, [], [1], [1, 2], ["x", 1], [-1, "x"], [{"$gt": 1}, "x"])),
    *(cursor(v) for v in ([2**63, "x"], [10**30, "x"], 10**30, "\0", [None, None], "acc_1/zzz")), "!!!", "a", "é",
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kurir(tmp_path_factory):
    """Yield a platform that has told its story, and was given secrets like no other text in every way there is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(email, "PASSWORD", PASSWORD)
        async with live(tmp_path_factory.mktemp("safety") / "kurir") as running:
            story = running.tell(20)
            assert (await story.run()).troubles() == []
            running.planted = await plant(running)
            yield running


async def routes(kurir):
    """Return (service, method, path, operation) of every route."""
    found = []
    for service in ("accounts", "campaigns"):
        document = (await kurir.rest.http.get(f"{kurir.rest.services[service]}/openapi.json")).json()
        for path, methods in document["paths"].items():
            found += [(service, method.upper(), path, operation) for method, operation in methods.items()]
    assert len(found) > 70
    return found


def forged(kurir):
    """Return tokens that look like ours."""
    claims = jwt.decode(kurir.token, options={"verify_signature": False})
    secret = kurir.platform.keys.jwt
    head, body, signature = kurir.token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    admin = base64.urlsafe_b64encode(json.dumps({**claims, "role": "admin", "sub": "op_1"}).encode()).decode()
    yield from (
        f"{none}.{body}.",
        f"{none}.{body}.{signature}",
        f"{head}.{admin.rstrip('=')}.{signature}",
        "x",
        "a.b.c",
    )
    yield jwt.encode({**claims, "exp": 1}, secret, "HS256")
    yield jwt.encode({k: v for k, v in claims.items() if k != "exp"}, secret, "HS256")
    yield jwt.encode({**claims, "role": "root"}, secret, "HS256")
    yield jwt.encode({**claims, "iss": "else"}, secret, "HS256")
    yield jwt.encode({**claims, "aud": "else"}, secret, "HS256")
    yield jwt.encode(claims, "another secret of more than thirty-two characters", "HS256")
    yield jwt.encode(claims, secret, "HS512")


async def test_without_a_good_token_nothing_is_read_or_changed(kurir):
    bad = [{}, {"Authorization": "Basic YTpi"}, {"Authorization": kurir.token}]
    bad += [{"Authorization": f"Bearer {token}"} for token in forged(kurir)]
    async with httpx.AsyncClient(trust_env=False) as stranger:
        for service, method, path, _ in await routes(kurir):
            if path in OPEN or path == "/v1/sessions":
                continue
            url = kurir.rest.services[service] + re.sub(r"\{[^}]+\}", "x1", path)
            headers = bad if method == "GET" and path in {"/v1/accounts", "/v1/events", "/v1/outbox"} else bad[:4]
            for one in headers:
                answer = await stranger.request(method, url, headers=one, json={})
                assert answer.status_code == 401, (method, path, one, answer.text)


async def test_a_viewer_changes_nothing_and_an_operator_manages_nobody(kurir):
    viewer, operator = (
        {"Authorization": f"Bearer {issue(kurir.platform.keys, role, 1)}"} for role in ("viewer", "operator")
    )
    own = {"/v1/sessions", "/v1/me/password"}
    for service, method, path, _ in await routes(kurir):
        url = kurir.rest.services[service] + re.sub(r"\{[^}]+\}", "x1", path)
        if method != "GET" and path.startswith("/v1/") and path not in own:
            answer = await kurir.rest.http.request(method, url, headers=viewer, json={})
            assert answer.status_code == 403, (method, path, answer.text)
        if path.startswith(("/v1/operators", "/v1/tokens")):
            answer = await kurir.rest.http.request(method, url, headers=operator, json={})
            assert answer.status_code == 403, (method, path, answer.text)


def inputs(path, operation):
    """Return (path, query, headers) with each parameter odd in turn."""
    for parameter in operation.get("parameters", []):
        name, place = parameter["name"], parameter["in"]
        for value in [*ODD, *(CURSORS if name == "cursor" else [])]:
            if place == "path":
                yield re.sub(r"\{[^}]+\}", lambda _, v=value: quote(v, safe=""), path), {}, {}
            elif place == "query":
                yield re.sub(r"\{[^}]+\}", "x1", path), {name: value}, {}
            elif "\0" not in value:
                yield re.sub(r"\{[^}]+\}", "x1", path), {}, {name: value.encode()}


async def test_no_parameter_reaches_the_store_as_anything_but_text(kurir):
    broken = []
    for service, method, path, operation in await routes(kurir):
        if not path.startswith("/v1/") or path.endswith("/events"):
            continue
        for url, query, headers in inputs(path, operation):
            address = kurir.rest.services[service] + url
            answer = await kurir.rest.http.request(method, address, params=query, headers=headers, json={})
            if answer.status_code >= 500:
                broken.append((method, url, query, headers))
    assert broken == []
    assert [a async for a in kurir.rest.items("accounts", "/v1/accounts", q='{"$gt": ""}')] == []
    assert [c async for c in kurir.rest.items("campaigns", "/v1/contacts", tag="$ne")] == []


@pytest.mark.parametrize(
    ("service", "method", "path", "body"),
    [
        ("accounts", "POST", "/v1/sessions", {"email": {"$gt": ""}, "password": {"$gt": ""}}),
        ("accounts", "POST", "/v1/accounts", {"name": {"$gt": ""}, "channel": "email"}),
        ("accounts", "POST", "/v1/accounts", {"name": "x", "channel": "email", "settings": {"\ud800": 1}}),
        ("accounts", "POST", "/v1/accounts", {"name": "x", "channel": "email", "credentials": {"\ud800": "1"}}),
        ("accounts", "POST", "/v1/accounts", {"name": "x", "channel": "email", "version": 7, "projected_version": 9}),
        (
            "accounts",
            "POST",
            "/v1/accounts",
            {"name": "x", "channel": "email", "pace": {"quiet_hours": {"start": "1"}}},
        ),
        (
            "campaigns",
            "POST",
            "/v1/campaigns",
            {"name": "x", "channel": "email", "status": "done", "lease_holder": "me"},
        ),
        ("campaigns", "POST", "/v1/campaigns", {"name": "x", "channel": "email", "schedule": {"$set": {}}}),
        ("campaigns", "POST", "/v1/campaigns", {"name": "x", "channel": "email", "schedule": {"per_day": 10**30}}),
        ("campaigns", "POST", "/v1/contacts", {"name": "x", "_id": "mine", "addresses": ["email:a@b.test"]}),
        ("campaigns", "POST", "/v1/contacts", {"name": "x", "attributes": {"a": {"$gt": ""}}}),
        ("campaigns", "POST", "/v1/lists", {"name": "x", "count": 5}),
        ("campaigns", "POST", "/v1/lists/x/members", {"contacts": [{"$gt": ""}]}),
        ("campaigns", "POST", "/v1/suppressions", {"channel": "email", "address": "a@b.test", "_id": "email.x"}),
    ],
)
async def test_fields_nobody_may_set_and_operators_of_the_store_are_refused(kurir, service, method, path, body):
    content = json.dumps(body).encode()
    answer = await kurir.rest.http.request(
        method, kurir.rest.services[service] + path, content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


async def test_a_new_account_with_a_number_too_large_to_store_is_refused(kurir):
    body = {
        "name": "x", "channel": "email", "active": False, "pace": {"daily_cap": 10**30},
        "settings": {"preset": "gmail", "smtp": {"from_address": "a@b.test"}}, "credentials": {"smtp_password": "x"},
    }  # fmt: skip
    answer = await kurir.rest.http.post(f"{kurir.rest.services['accounts']}/v1/accounts", json=body)
    assert answer.status_code == 422, answer.text


async def test_an_unsubscribe_link_is_good_for_its_own_address_alone(kurir):
    campaigns = kurir.rest.services["campaigns"]
    [sent] = await kurir.mail.unsubscribes()
    token = sent["url"].rpartition("/u/")[2]
    body, _, mac = token.partition(".")
    text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
    other = text.replace("email/", "telegram/", 1)
    changed = base64.urlsafe_b64encode(other.encode()).decode().rstrip("=")
    bad = [
        f"{changed}.{mac}",
        f"{body}.",
        body,
        f"{body}.{mac[:-4]}AAAA",
        f"{body}.{'A' * 27}",
        "é",
        "%00",
        "a" * 9_000,
        ".",
    ]
    before = [s["id"] async for s in kurir.rest.items("campaigns", "/v1/suppressions")]
    async with httpx.AsyncClient(trust_env=False) as stranger:
        for one in bad:
            for method in ("GET", "POST"):
                answer = await stranger.request(method, f"{campaigns}/u/{quote(one, safe='.%')}")
                assert answer.status_code == 404, (one, answer.status_code)
        again = await stranger.post(f"{campaigns}/u/{token}", headers={"Host": "evil.test"})
        assert again.status_code == 200
        assert "evil" not in again.text
    assert [s["id"] async for s in kurir.rest.items("campaigns", "/v1/suppressions")] == before


REPORTS = {
    "report-type=feedback-report": "message/feedback-report\n\nFeedback-Type: abuse\nOriginal-Rcpt-To: <{to}>\n",
    "report-type=delivery-status": (
        "message/delivery-status\n\nReporting-MTA: dns; mx.test\n\n"
        "Final-Recipient: rfc822;{to}\nAction: failed\nStatus: 5.1.1\n"
    ),
}


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize(
    "quoted", ["", "<kurir.0.0123456789abcdef@practice.test>", "<kurir.0.crm.order-1@practice.test>"]
)
async def test_a_forged_report_silences_nobody(kurir, kind, quoted):
    victim = f"victim-{os.urandom(4).hex()}@practice.test"
    raw = (
        f"From: mailer-daemon@evil.test\nSubject: failed\nContent-Type: multipart/report; {kind}; boundary=b\n\n"
        f"--b\nContent-Type: text/plain\n\nfailed\n--b\nContent-Type: {REPORTS[kind].format(to=victim)}\n"
        f"--b\nContent-Type: message/rfc822\n\nMessage-ID: {quoted}\nTo: {victim}\n\nx\n--b--\n"
    )
    marker = f"after-{os.urandom(4).hex()}@evil.test"
    await kurir.mail.inject("toko", raw=raw.replace("\n", "\r\n").encode())
    await kurir.mail.inject("toko", sender=marker)

    async def read():
        return [c async for c in kurir.rest.items("campaigns", "/v1/conversations", q=marker)]

    await wait_for("the mail behind the report", read, 20)
    await asyncio.sleep(0.5)
    assert [s async for s in kurir.rest.items("campaigns", "/v1/suppressions", channel="email", q=victim)] == []


def secrets(kurir):
    """Return what must be nowhere in the clear."""
    return kurir.planted.secrets


async def test_no_secret_and_no_message_is_in_a_log(kurir):
    hidden = {**secrets(kurir), **kurir.planted.texts}
    logs = {file.name: file.read_text("utf-8", "replace") for file in kurir.platform.home.logs.glob("*.log")}
    assert len(logs) >= 6
    assert [(log, name) for log, text in logs.items() for name, one in hidden.items() if one in text] == []


async def test_no_secret_is_in_an_answer(kurir):
    for service, method, path, _ in await routes(kurir):
        if method != "GET" or path.endswith("/events"):
            continue
        accounts = [a["id"] async for a in kurir.rest.items("accounts", "/v1/accounts")]
        url = kurir.rest.services[service] + path.replace("{account_id}", accounts[0])
        text = (await kurir.rest.http.get(re.sub(r"\{[^}]+\}", "x1", url))).text
        assert [name for name, one in secrets(kurir).items() if one in text] == [], path


async def test_no_password_lies_unsealed_in_store_bus_or_file(kurir):
    hidden = secrets(kurir)
    client = AsyncIOMotorClient(kurir.platform.endpoints.mongo_url)
    for database in await client.list_database_names():
        for name in await client[database].list_collection_names():
            documents = str([one async for one in client[database][name].find()])
            assert [key for key, one in hidden.items() if one in documents] == [], name
    client.close()
    connection = await kurir.bus()
    stream = connection.jetstream()
    for info in await stream.streams_info():
        for sequence in range(max(1, info.state.first_seq), info.state.last_seq + 1):
            try:
                message = await stream.get_msg(info.config.name, sequence)
            except nats.js.errors.NotFoundError:
                continue
            text = (message.data or b"").decode("utf-8", "replace") + str(message.headers)
            assert [key for key, one in hidden.items() if one in text] == [], message.subject
    await connection.close()
    named = {"keys.json", "running.json", "nats.conf"}
    for file in kurir.platform.home.folder.rglob("*"):
        if file.is_file() and file.name not in named:
            data = file.read_bytes()
            assert [key for key, one in hidden.items() if one.encode() in data] == [], file


async def test_bus_and_store_ask_for_a_password(kurir):
    ports = {child.name: child.port for child in kurir.platform.children}
    with pytest.raises(nats.errors.Error):
        await nats.connect(f"nats://127.0.0.1:{ports['nats']}", allow_reconnect=False, max_reconnect_attempts=0)
    commands = ({"find": "accounts"}, {"createUser": "evil", "pwd": "x", "roles": ["root"]}, {"usersInfo": 1})
    for user, tried in (("", commands), ("kurir:wrong@", commands[:1])):
        client = AsyncIOMotorClient(f"mongodb://{user}127.0.0.1:{ports['store']}/?directConnection=true")
        for command in tried:
            with pytest.raises(Exception, match=r"(?i)auth"):
                await client["kurir"].command(command)
        client.close()


async def test_every_port_is_the_machines_own_and_files_are_the_users_own(kurir):
    ports = {child.port for child in kurir.platform.children}
    outside = {
        info[4][0]
        for info in socket.getaddrinfo(socket.gethostname(), None)
        if not info[4][0].startswith(("127.", "::1"))
    }
    for address, port in itertools.product(outside, ports):
        with pytest.raises(OSError, match=r".+"):
            await asyncio.wait_for(asyncio.open_connection(address, port), 3)
    home = kurir.platform.home.folder
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for name in ("keys.json", "running.json", "nats/nats.conf", "practice/key.pem"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name


def of_process(pid, what):
    """Return what the kernel says of a process."""
    return Path(f"/proc/{pid}/{what}").read_bytes().decode().split("\0")


async def test_command_lines_hold_no_secret_and_each_service_only_its_own(kurir):
    have = {}
    for child in kurir.platform.children:
        line, entries = (of_process(child.pid, what) for what in ("cmdline", "environ"))
        assert [name for name, one in secrets(kurir).items() if one in " ".join(line)] == [], child.name
        inherited = {f"{k}={v}" for k, v in os.environ.items()}
        given = " ".join(e for e in entries if e not in inherited)
        have[child.name] = {n for n, one in kurir.platform.keys.__dict__.items() if n != "admin_email" and one in given}
    bus, store = "nats_password", "store_password"
    assert have == {
        "nats": set(),
        "store": set(),
        "practice-mail": set(),
        "accounts": {bus, store, "sealing", "jwt", "admin_password"},
        "campaigns": {bus, store, "jwt", "address_hmac"},
        "channel-email": {bus, "address_hmac"},
    }


async def test_a_channel_serves_health_and_nothing_else(kurir):
    url = kurir.rest.services["channel-email"]
    assert {(await kurir.rest.http.get(url + path)).status_code for path in ("/livez", "/readyz", "/healthz")} == {200}
    for service, method, path, _ in await routes(kurir):
        if path not in OPEN:
            answer = await kurir.rest.http.request(method, url + re.sub(r"\{[^}]+\}", "x1", path), json={})
            assert answer.status_code == 404, (service, method, path)
