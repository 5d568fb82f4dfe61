"""Suppressions in both places, and the public one-click page."""

import asyncio

import pytest
from campaigns import relay
from campaigns.contacts.domain import ContactInput
from campaigns.contacts.usecases import create
from campaigns.suppression import store, tokens, usecases
from contracts.ids import row_id
from servicekit.errors import Unavailable


async def on_the_bus(people, address: str, channel: str = "email") -> str | None:
    entry = await store.bucket(people.ctx).get(f"{channel}.{tokens.hasher(people.ctx).digest(channel, address)}")
    return entry.value.reason if entry else None


def path_of(people, address: str, campaign: str = "c1") -> str:
    url = tokens.url(people.ctx, "email", address, campaign)
    assert url.startswith("https://kurir.example/u/")
    return url.removeprefix("https://kurir.example")


async def test_opening_the_link_changes_nothing_and_posting_unsubscribes(people):
    await people.ctx.db["rows"].insert_one({"_id": row_id("c1", "a@example.com"), "to": {"address": "a@example.com"}})
    contact = await create(people.ctx, ContactInput(email="a@example.com"))
    path = path_of(people, "a@example.com")
    assert "@" not in path
    page = await people.nobody.get(path)
    assert page.status_code == 200
    assert page.text.count("<button") == 1
    assert await on_the_bus(people, "a@example.com") is None
    for _ in range(2):
        done = await people.nobody.post(path, data={"List-Unsubscribe": "One-Click"})
        assert done.status_code == 200
    assert await on_the_bus(people, "a@example.com") == "unsubscribed"
    found = (await people.viewer.get("/v1/suppressions", params={"q": "a@ex"})).json()["items"]
    assert [(s["address"], s["reason"], s["campaign"]) for s in found] == [("a@example.com", "unsubscribed", "c1")]
    assert await usecases.suppressed(people.ctx, "email", ["A@example.com", "b@example.com"]) == {"A@example.com"}
    await relay.relay_once(people.ctx, people.ctx.db["suppressions"])
    told = await people.ctx.bus.js.get_last_msg("EVENTS", "evt.campaigns.contact.unsubscribed.v1")
    assert contact["_id"].encode() in told.data


async def test_the_link_works_after_the_campaign_is_gone_and_is_found_by_the_whole_address(people):
    assert (await people.nobody.post(path_of(people, "gone@example.com"))).status_code == 200
    found = (await people.viewer.get("/v1/suppressions", params={"q": "Gone@example.com"})).json()["items"]
    assert [(s["address"], s["reason"]) for s in found] == [("", "unsubscribed")]
    assert await usecases.suppressed(people.ctx, "email", ["gone@example.com"]) == {"gone@example.com"}


@pytest.mark.parametrize("token", ["x", "x.y", "é", "a" * 3_000])
async def test_a_link_that_is_not_ours_is_a_page_not_found(people, token):
    for call in (people.nobody.get, people.nobody.post):
        answer = await call(f"/u/{token}")
        assert answer.status_code == 404
        assert "text/html" in answer.headers["content-type"]


async def test_a_changed_link_is_not_ours(people):
    path = path_of(people, "a@example.com")
    assert (await people.nobody.post(path[:-3] + "AAA")).status_code == 404
    assert await people.ctx.db["suppressions"].count({}) == 0


async def test_without_the_bus_nobody_is_told_that_it_is_done(people):
    people.nats.kill()
    answer = await people.nobody.post(path_of(people, "a@example.com"))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert await people.ctx.db["suppressions"].count({}) == 0
    people.nats.start()
    await asyncio.sleep(0.5)
    await people.ctx.bus.wait_connected()
    for _ in range(50):
        if (await people.nobody.post(path_of(people, "a@example.com"))).status_code == 200:
            break
        await asyncio.sleep(0.1)
    assert await on_the_bus(people, "a@example.com") == "unsubscribed"


async def test_a_crash_between_bus_and_store_forbids_and_repeating_completes(people, monkeypatch):
    async def dies(*_):
        raise Unavailable("store")

    whole = usecases._record
    monkeypatch.setattr(usecases, "_record", dies)
    assert (await people.nobody.post(path_of(people, "a@example.com"))).status_code == 503
    assert await on_the_bus(people, "a@example.com") == "unsubscribed"
    monkeypatch.setattr(usecases, "_record", whole)
    assert (await people.nobody.post(path_of(people, "a@example.com"))).status_code == 200
    assert await people.ctx.db["suppressions"].count({}) == 1


async def test_a_weaker_reason_never_replaces_a_stronger(people):
    for reason, stays in (
        ("manual", "manual"),
        ("blocked", "blocked"),
        ("unsubscribed", "blocked"),
        ("bounced", "blocked"),
    ):
        await usecases.suppress(people.ctx, "email", "A@example.com", reason, "test")
        assert await on_the_bus(people, "a@example.com") == stays
    found = (await people.viewer.get("/v1/suppressions")).json()["items"]
    assert [s["reason"] for s in found] == ["blocked"]
    assert await usecases.forbids_reply(people.ctx, "email", "a@example.com") == "blocked"


async def test_an_operator_lifts_and_a_viewer_may_not(people):
    added = (
        await people.http.post("/v1/suppressions", json={"channel": "whatsapp", "address": "0812 3456 7890"})
    ).json()
    assert added["address"] == "+6281234567890"
    path = f"/v1/suppressions/{added['id']}"
    assert (await people.viewer.delete(path)).status_code == 403
    assert (await people.http.delete(path)).status_code == 204
    assert await on_the_bus(people, "+6281234567890", "whatsapp") is None
    assert (await people.http.delete(path)).status_code == 404
    assert (await people.http.delete("/v1/suppressions/>")).status_code == 404


async def test_a_wrong_address_or_channel_is_named(people):
    for body, field in (
        ({"channel": "email", "address": "x"}, "address"),
        ({"channel": "fax", "address": "1"}, "channel"),
    ):
        answer = await people.http.post("/v1/suppressions", json=body)
        assert answer.json()["errors"][0]["field"] == field


async def test_after_a_restore_every_suppression_is_on_the_bus_again(people):
    for i in range(150):
        await usecases.suppress(people.ctx, "email", f"u{i}@example.com", "unsubscribed", "test")
    await people.ctx.bus.js.purge_stream("KV_suppressions")
    assert await on_the_bus(people, "u7@example.com") is None
    assert await usecases.project_all(people.ctx) == 150
    keys = await store.bucket(people.ctx).keys()
    assert len(keys) == 150


async def test_a_list_is_imported_with_each_refused_line_and_exported(people):
    text = "address,reason\na@example.com,blocked\nnot an address,\nb@example.com,nonsense\nc@example.com,\n"
    told = (await people.http.post("/v1/suppressions/import", content=text)).json()
    assert (told["suppressed"], [(r["line"], r["field"]) for r in told["rejects"]]) == (
        2,
        [(3, "address"), (4, "reason")],
    )
    exported = (await people.http.get("/v1/suppressions/export")).text
    assert exported.count("@example.com") == 2
    assert (await people.http.post("/v1/suppressions/import", content="x,y\n1,2\n")).status_code == 422
