"""Contacts, lists and tags over HTTP, on the real store."""

import asyncio

from campaigns import relay
from campaigns.contacts import audience, groups, usecases
from campaigns.contacts.domain import ContactInput


async def test_a_contact_is_created_found_edited_and_deleted(people):
    made = await people.http.post(
        "/v1/contacts", json={"name": "Siti Aminah", "email": "Siti@Example.com", "phone": "0812-3456-7890"}
    )
    assert made.status_code == 201, made.text
    contact = made.json()
    assert (contact["email"], contact["phone"]) == ("siti@example.com", "+6281234567890")
    assert made.headers["etag"] == '"1"'
    for q in ("siti", "AMIN", "siti@ex", "+62812", "0812"):
        found = (await people.viewer.get("/v1/contacts", params={"q": q})).json()["items"]
        assert [c["id"] for c in found] == [contact["id"]], q
    path = f"/v1/contacts/{contact['id']}"
    edited = await people.http.patch(path, json={"name": "Siti", "handles": {"instagram": "@Siti.A"}, "version": 1})
    assert edited.json()["handles"] == {"instagram": "siti.a"}
    assert (await people.http.delete(path)).status_code == 204
    assert (await people.http.get(path)).status_code == 404


async def test_two_edits_at_once_are_a_conflict_for_the_second(people):
    contact = (await people.http.post("/v1/contacts", json={"email": "a@example.com"})).json()
    path = f"/v1/contacts/{contact['id']}"
    answers = await asyncio.gather(
        *(people.http.patch(path, json={"name": name}, headers={"If-Match": '"1"'}) for name in ("A", "B", "C"))
    )
    assert sorted(a.status_code for a in answers) == [200, 412, 412]
    stale = next(a for a in answers if a.status_code == 412)
    assert (stale.json()["reason"], stale.json()["version"], stale.headers["ETag"]) == ("stale_version", 2, '"2"')
    unsaid = await people.http.patch(path, json={"name": "D"})
    assert (unsaid.status_code, unsaid.json()["reason"]) == (428, "version_required")
    assert (await people.http.patch(path, json={"name": "D"}, headers={"If-Match": "*"})).status_code == 200


async def test_every_wrong_field_is_named(people):
    answer = await people.http.post(
        "/v1/contacts",
        json={"email": "x@y\r\nRCPT TO:<z@example.com>", "phone": "12", "handles": {"shopee": "a b"}, "lists": ["no"]},
    )
    assert answer.status_code == 422
    assert {e["field"] for e in answer.json()["errors"]} == {"email", "phone", "handles.shopee"}
    assert (await people.http.post("/v1/contacts", json={"emial": "a@example.com"})).status_code == 422
    assert (await people.http.post("/v1/contacts", json={})).json()["errors"][0]["field"] == "name"


async def test_an_address_has_one_owner(people):
    first = (await people.http.post("/v1/contacts", json={"email": "a@example.com"})).json()
    second = await people.http.post("/v1/contacts", json={"email": "A@EXAMPLE.com"})
    assert second.status_code == 409
    assert first["id"] in second.json()["detail"]


async def test_upsert_finds_by_any_address_and_only_adds_tags(people):
    body = {"email": "a@example.com", "phone": "08123456789", "tags": ["VIP"]}
    assert (await people.http.put("/v1/contacts", json=body)).json()["outcome"] == "inserted"
    again = (
        await people.http.put("/v1/contacts", json={"phone": "+628123456789", "tags": ["new"], "name": "A"})
    ).json()
    assert (again["outcome"], again["tags"], again["email"]) == ("updated", ["new", "vip"], "a@example.com")
    assert (await people.http.put("/v1/contacts", json=body)).json()["outcome"] == "unchanged"


async def test_a_hundred_upserts_of_one_person_at_once_make_one_contact(people):
    given = ContactInput(email="same@example.com", name="Same")
    results = await asyncio.gather(*(usecases.resolve(people.ctx, "email", "same@example.com", "S") for _ in range(50)))
    assert len(set(results)) == 1
    await asyncio.gather(*(usecases.upsert(people.ctx, given) for _ in range(3)))
    assert await people.ctx.db["contacts"].count({}) == 1


async def test_lists_and_tags_keep_their_counts(people):
    made = (await people.http.post("/v1/lists", json={"name": "Pelanggan"})).json()
    assert (await people.http.post("/v1/lists", json={"name": "PELANGGAN"})).status_code == 409
    ids = [(await people.http.post("/v1/contacts", json={"email": f"u{i}@example.com"})).json()["id"] for i in range(5)]
    path = f"/v1/lists/{made['id']}/members"
    assert (await people.http.post(path, json={"contacts": ids})).json() == {"changed": 5}
    assert (await people.http.post(path, json={"contacts": ids})).json() == {"changed": 0}
    assert (await people.http.post("/v1/tags/vip/members", json={"contacts": ids[:2]})).json() == {"changed": 2}
    await groups.recount(people.ctx, "lists")
    await groups.recount(people.ctx, "tags")
    assert (await people.http.get(f"/v1/lists/{made['id']}")).json()["count"] == 5
    assert [(t["id"], t["count"]) for t in (await people.http.get("/v1/tags")).json()["items"]] == [("vip", 2)]
    found = (await people.http.get("/v1/contacts", params={"list": made["id"], "limit": 3})).json()
    rest = await people.http.get(
        "/v1/contacts", params={"list": made["id"], "limit": 3, "cursor": found["next_cursor"]}
    )
    assert [c["id"] for c in found["items"] + rest.json()["items"]] == ids[::-1]
    assert rest.json()["next_cursor"] is None
    await people.http.patch("/v1/tags/vip", json={"name": "Setia"})
    await people.http.delete(f"/v1/lists/{made['id']}")
    assert (await people.http.get(f"/v1/contacts/{ids[0]}")).json()["tags"] == ["setia"]
    assert (await people.http.get(f"/v1/contacts/{ids[0]}")).json()["lists"] == []


async def test_tagging_is_told_on_the_bus_once_per_contact_and_tag(people):
    contact = (await people.http.post("/v1/contacts", json={"email": "a@example.com", "tags": ["one"]})).json()
    for _ in range(2):
        await people.http.post("/v1/tags/two/members", json={"contacts": [contact["id"]]})
    for _ in range(3):
        await relay.relay_once(people.ctx, people.ctx.db["contacts"])
    events = await people.ctx.bus.js.stream_info("EVENTS", subjects_filter="evt.campaigns.contact.tagged.v1")
    assert events.state.messages == 2


async def test_an_audience_is_the_union_of_lists_and_tags_and_can_be_continued(people):
    made = (await people.http.post("/v1/lists", json={"name": "L"})).json()
    for i in range(7):
        body = {"email": f"u{i}@example.com", "name": f"U {i}", "attributes": {"Kota Asal": "Medan"}}
        body |= {"lists": [made["id"]]} if i % 2 else {}
        body |= {"tags": ["t"]} if i in {1, 2} else {}
        await people.http.post("/v1/contacts", json=body)
    await people.http.post("/v1/contacts", json={"phone": "08123456789", "lists": [made["id"]]})
    batches = [b async for b in audience(people.ctx, [made["id"]], ["t"], "email")]
    members = [m for b in batches for m in b.members]
    assert [m.address for m in members] == [f"u{i}@example.com" for i in (1, 2, 3, 5)]
    assert members[0].vars["kota_asal"] == "Medan"
    assert members[0].vars["first_name"] == "U"
    later = [m async for b in audience(people.ctx, [made["id"]], ["t"], "email", after=3) for m in b.members]
    assert [m.address for m in later] == ["u3@example.com", "u5@example.com"]
    chat = [m async for b in audience(people.ctx, [made["id"]], [], "whatsapp") for m in b.members]
    assert [m.address for m in chat] == ["+628123456789"]


async def test_an_export_cannot_run_in_a_spreadsheet(people):
    body = {
        "email": "a@example.com",
        "phone": "08123456789",
        "name": '=HYPERLINK("http://x")',
        "attributes": {"n": "-1+1"},
    }
    await people.http.post("/v1/contacts", json=body)
    text = (await people.http.get("/v1/contacts/export")).text
    assert "'=HYPERLINK" in text
    assert "'-1+1" in text
    assert "+628123456789" in text
    assert "'+62" not in text


async def test_roles_are_obeyed(people):
    assert (await people.nobody.get("/v1/contacts")).status_code == 401
    assert (await people.viewer.get("/v1/contacts")).status_code == 200
    assert (await people.viewer.post("/v1/contacts", json={"email": "a@example.com"})).status_code == 403
    assert (await people.viewer.get("/v1/contacts", params={"cursor": "garbage!"})).status_code == 422


async def test_a_body_larger_than_allowed_is_a_problem(people):
    answer = await people.http.post("/v1/contacts", json={"attributes": {"x": "y" * (2 << 20)}})
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
    assert answer.headers["content-type"] == "application/problem+json"
