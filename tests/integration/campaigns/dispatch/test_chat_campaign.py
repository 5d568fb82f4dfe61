"""A campaign on a chat channel: whom it writes to, from which account, and what its commands say."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from campaigns.outbox import messaging
from contracts import subjects
from contracts.channels import Channel
from contracts.commands import SendMessage
from contracts.events import AccountDeleting
from contracts.inbox import Failed, Read, Received, Sent
from nats.js.errors import NotFoundError
from servicekit.clock import utcnow

from tests.integration.campaigns.dispatch.kit import Service, running, until
from tests.support.servers import NatsServer

TELEGRAM = Channel.TELEGRAM
PHONE = "+6281200000001"


@pytest.fixture
async def service(fresh_nats: NatsServer, mongo_url: str, fresh_db: str) -> AsyncIterator[Service]:
    """Run the service of a deployment that has e-mail and Telegram."""
    async with running(fresh_nats, mongo_url, fresh_db, channels="email,telegram,olx") as made:
        yield made


async def campaign(service: Service, *contacts: dict, accounts: tuple[str, ...] = ("acc_1",), **fields) -> str:
    """Create a campaign to these contacts."""
    listed = (await service.call("POST", "/v1/lists", json={"name": "Pelanggan"}))["id"]
    for one in contacts:
        await service.call("POST", "/v1/contacts", json={**one, "lists": [listed]})
    body = {"name": "Kopi", "channel": "telegram", "accounts": list(accounts), "lists": [listed],
            "text": "Halo {{ name }}"} | fields  # fmt: skip
    return (await service.call("POST", "/v1/campaigns", json=body))["id"]


async def commands(service: Service, account: str = "acc_1") -> list[SendMessage]:
    """Return what waits in an account's bulk queue."""
    found: list[SendMessage] = []
    stream, subject, sequence = subjects.commands_stream(TELEGRAM), subjects.send(TELEGRAM, account, "bulk"), 0
    with contextlib.suppress(NotFoundError):
        while True:
            message = await service.bus.js.get_msg(stream, seq=sequence + 1, subject=subject, next=True)
            sequence = message.seq
            found.append(SendMessage.model_validate_json(message.data))
    return found


async def published(service: Service, count: int, account: str = "acc_1") -> list[SendMessage]:
    async def there():
        found = await commands(service, account)
        return found if len(found) == count else None

    return await until(there)


async def tell(service: Service, event, what: str) -> None:
    await service.bus.publish(subjects.inbox(TELEGRAM, event.account_id, what), event)


def about(command: SendMessage) -> dict:
    return {
        "account_id": command.account_id, "channel": TELEGRAM, "campaign_id": command.campaign_id, "row": command.row,
        "batch": command.batch, "k": command.k, "number": command.number, "at": utcnow(),
    }  # fmt: skip


async def test_contacts_are_written_to_by_handle_or_phone_and_without_a_subject(service: Service):
    await service.account(channel=TELEGRAM)
    made = await campaign(
        service,
        {"name": "Ani", "phone": "0812-0000-0001"},
        {"name": "Budi", "phone": "+6281200000002", "handles": {"telegram": "@Budi_K"}},
        {"name": "Cici", "handles": {"telegram": "#77"}},
        {"name": "Dedi", "phone": "+6281200000004", "handles": {"telegram": "#78"}},
        {"name": "Eka", "email": "eka@example.com"},
        subject="For {{ nobody }}", text="", bubbles=["Halo {{ name }}", "Ada kopi baru"],
    )  # fmt: skip
    preview = await service.call("GET", f"/v1/campaigns/{made}/preview", params={"limit": 1})
    assert preview["items"][0]["bubbles"] == ["Halo Ani", "Ada kopi baru"]
    assert (preview["items"][0]["subject"], preview["items"][0]["missing"]) == (None, [])
    await service.process(made)
    sent = await published(service, 4)
    assert {c.to.address: (c.to.name, c.content.bubbles[0]) for c in sent} == {
        PHONE: ("Ani", "Halo Ani"),
        "budi_k": ("Budi", "Halo Budi"),
        "#77": ("Cici", "Halo Cici"),
        "+6281200000004": ("Dedi", "Halo Dedi"),
    }
    assert {(c.content.subject, c.content.text, c.unsubscribe_url) for c in sent} == {(None, "", None)}
    shown = (await service.call("GET", "/v1/outbox", params={"q": "budi_k"}))["items"]
    assert [row["text"] for row in shown] == ["Halo Budi"]


async def test_who_talks_to_one_of_the_accounts_already_hears_from_that_one(service: Service):
    """Also under the phone, where the campaign writes to the handle."""
    await service.account("acc_1", channel=TELEGRAM)
    await service.account("acc_2", channel=TELEGRAM)
    people = [{"name": f"P{n}", "phone": f"+628120000100{n}", "handles": {"telegram": f"p{n}"}} for n in range(8)]
    for n in range(8):
        peer = f"+628120000100{n}" if n % 2 else f"p{n}"
        talk = Received(
            id=f"in{n}", account_id="acc_2", channel=TELEGRAM, platform_id=str(n), sender={"address": peer},
            conversation=peer, at=utcnow(), text="halo",
        )  # fmt: skip
        await tell(service, talk, "received")
    await until(lambda: _conversations(service, 8))
    await service.ctx.db["contacts"].delete_many({})  # or the import would be told that these exist
    await service.process(await campaign(service, *people, accounts=("acc_1", "acc_2")))
    assert {c.to.address for c in await published(service, 8, "acc_2")} == {f"p{n}" for n in range(8)}


async def _conversations(service: Service, count: int) -> bool:
    return await service.ctx.db["conversations"].count({}) == count


async def test_who_is_suppressed_by_phone_is_not_written_to_by_handle(service: Service):
    await service.account(channel=TELEGRAM)
    await service.call("POST", "/v1/suppressions", json={"channel": "telegram", "address": PHONE})
    made = await campaign(
        service,
        {"name": "Ani", "phone": PHONE, "handles": {"telegram": "ani"}},
        {"name": "", "phone": "+6281200000002"},
        text="Halo {{ name | default: 'kak' }}",
    )
    await service.process(made)
    assert [c.to.address for c in await published(service, 1)] == ["+6281200000002"]
    rows = {row["key"]: (row["state"], row["reason"]) for row in await service.rows(made)}
    assert rows["ani"] == ("cancelled", "suppressed")


async def test_a_receipt_that_overtook_its_message_counts(service: Service, monkeypatch):
    """It comes again, once the row is known to be sent."""
    await service.account(channel=TELEGRAM)
    made = await campaign(service, {"name": "Ani", "phone": PHONE})
    await service.process(made)
    (command,) = await published(service, 1)
    read = Read(account_id="acc_1", channel=TELEGRAM, at=utcnow(), conversation=PHONE, platform_id="5", up_to=True)
    offered, later_of = [], messaging.later_of

    def noting(items):
        later = later_of(items)
        return lambda message: offered.append(message) or later(message)

    monkeypatch.setattr(messaging, "later_of", noting)
    await tell(service, read, "read")
    await until(lambda: offered)
    await tell(service, Sent(**about(command), platform_ids=["5"]), "sent")
    await until(lambda: _state(service, made, "read"), 20)


async def _state(service: Service, made: str, state: str) -> bool:
    return [row["state"] for row in await service.rows(made)] == [state]


async def test_why_a_platform_does_not_take_a_message_is_shown(service: Service):
    await service.account(channel=TELEGRAM)
    made = await campaign(service, {"name": "Ani", "phone": PHONE})
    await service.process(made)
    (command,) = await published(service, 1)
    await tell(service, Failed(**about(command), reason="not_on_telegram", detail="PHONE_NOT_OCCUPIED"), "failed")
    await until(lambda: _state(service, made, "failed"))
    (shown,) = (await service.call("GET", "/v1/outbox", params={"campaign": made}))["items"]
    assert (shown["reason"], shown["detail"]) == ("not_on_telegram", "PHONE_NOT_OCCUPIED")
    assert (await service.call("GET", "/v1/suppressions"))["items"] == []


async def test_deleting_an_account_moves_what_waits_where_a_person_said(service: Service):
    await service.account("acc_1", channel=TELEGRAM, worker=False)
    await service.account("acc_2", channel=TELEGRAM)
    made = await campaign(service, {"name": "Ani", "phone": PHONE})
    await service.process(made)
    await until(lambda: _state(service, made, "pending"))
    await service.account("acc_1", channel=TELEGRAM, status="deleting")
    event = AccountDeleting(account_id="acc_1", channel=TELEGRAM, move_to="acc_2", at=utcnow())
    await service.bus.publish("evt.accounts.account.deleting.v1", event)
    assert [c.to.address for c in await published(service, 1, "acc_2")] == [PHONE]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [({"text": "", "html": "<b>x</b>"}, True), ({"text": " \n"}, True), ({"text": "", "bubbles": [" "]}, True),
     ({"text": "", "bubbles": ["x"]}, False)],
)  # fmt: skip
async def test_a_chat_message_needs_words_or_a_file(service: Service, fields, wrong):
    await service.account(channel=TELEGRAM)
    made = await campaign(service, {"name": "Ani", "phone": PHONE}, **fields)
    answer = await service.http.post(f"/v1/campaigns/{made}/process")
    assert answer.status_code == (422 if wrong else 200), answer.text
    if wrong:
        assert [one["field"] for one in answer.json()["errors"]] == ["text"]
