"""Imports over HTTP, with the files people really have."""

import asyncio
import contextlib
import csv
import io
import resource
from datetime import UTC, datetime

import pytest
from campaigns.contacts.importing import applying, runner
from servicekit.errors import Unavailable

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


async def problems(people, made: dict, **params: str) -> list[tuple[int, str, str]]:
    found = (await people.viewer.get(f"/v1/contacts/imports/{made['id']}/problems", params=params)).json()
    return [(p["line"], p["kind"], p["field"]) for p in found["items"]]


async def test_a_usual_file_with_every_usual_trouble(people):
    text = (
        "Nama Lengkap;E-mail;No. HP;Kota;Tags\r\n"
        "Budi;budi@example.com;0812-3456-7890;Medan;vip|baru\r\n"
        "Siti;not-an-address;;Solo;\r\n"
        '"Evil\r\nBcc: x@example.com";evil@example.com;;=1+1;\r\n'
        '"Dot";"a@example.com\r\n.\r\nMAIL FROM:<b@example.com>";;;\r\n'
        ";;;;\r\n"
        "Tanpa;;;;\r\n"
        "Budi Dua;BUDI@example.com;;;\r\n"
        "Rusak;r@example.com;6.28E+12;;\r\n"
    )
    made = await people.imported("\ufeff" + text, filename="pelanggan.csv")
    assert made["status"] == "done", made
    assert made["counts"] == {
        "rows": 7, "inserted": 2, "updated": 0, "unchanged": 0, "rejected": 4, "duplicates": 1, "cleaned": 1,
    }  # fmt: skip
    assert await problems(people, made) == [
        (3, "rejected", "email"),
        (4, "cleaned", "name"),
        (6, "rejected", "email"),
        (10, "rejected", ""),
        (11, "duplicate", ""),
        (12, "rejected", "phone"),
    ]
    evil = (await people.http.get("/v1/contacts", params={"q": "evil@"})).json()["items"][0]
    assert (evil["name"], evil["attributes"]) == ("Evil Bcc: x@example.com", {"kota": "=1+1"})
    budi = (await people.http.get("/v1/contacts", params={"q": "budi@"})).json()["items"][0]
    assert (budi["name"], budi["phone"], budi["tags"]) == ("Budi", "+6281234567890", ["baru", "vip"])
    report = (await people.viewer.get(f"/v1/contacts/imports/{made['id']}/problems.csv")).text
    assert len(list(csv.DictReader(io.StringIO(report.lstrip("\ufeff"))))) == 6


async def test_the_same_file_again_changes_nothing_and_a_newer_one_updates(people):
    listed = (await people.http.post("/v1/lists", json={"name": "L"})).json()["id"]
    first = "name,email,city\nA,a@example.com,Medan\nB,b@example.com,Solo\n"
    assert (await people.imported(first, lists=listed, tags="x,y"))["counts"]["inserted"] == 2
    assert (await people.imported(first, lists=listed, tags="x,y"))["counts"]["unchanged"] == 2
    newer = "name,email,city\nA,a@example.com,Aceh\n,b@example.com,\nC,c@example.com,\n"
    counts = (await people.imported(newer, lists=listed))["counts"]
    assert (counts["updated"], counts["unchanged"], counts["inserted"]) == (1, 1, 1)
    found = (await people.http.get("/v1/contacts", params={"q": "b@example.com"})).json()["items"][0]
    assert (found["name"], found["attributes"], found["tags"]) == ("B", {"city": "Solo"}, ["x", "y"])


async def test_a_line_that_belongs_to_two_contacts_is_rejected_with_both_named(people):
    await people.imported("email,phone\na@example.com,08111111111\nb@example.com,08222222222\n")
    made = await people.imported("email,phone\na@example.com,08222222222\n")
    assert made["counts"]["rejected"] == 1
    found = (await people.http.get(f"/v1/contacts/imports/{made['id']}/problems")).json()["items"][0]
    assert "two contacts" in found["reason"]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"PK\x03\x04 this is a workbook", "file"),
        (b"", "file"),
        (bytes(range(256)) * 20, "file"),
        (b"a,b\n1,2\n", "mapping"),
        (b"one@example.com\ntwo@example.com\n", "mapping"),
    ],
)
async def test_a_file_that_is_no_table_of_contacts_is_refused_at_once(people, data, field):
    answer = await people.http.post("/v1/contacts/imports", content=data)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert await people.ctx.db["imports"].count({}) == 0


async def test_options_that_do_not_fit_are_refused_by_name(people):
    async def refused(**params: str) -> str:
        answer = await people.http.post("/v1/contacts/imports", content="email\na@example.com\n", params=params)
        assert answer.status_code == 422, answer.text
        return answer.json()["errors"][0]["field"]

    assert await refused(lists="no") == "lists"
    assert await refused(key="shoe") == "key"
    assert await refused(mapping="{") == "mapping"
    assert await refused(mapping='{"emale": "email"}') == "mapping.emale"
    assert await refused(encoding="klingon") == "encoding"
    assert await refused(nonsense="1") == "nonsense"


async def test_preview_shows_the_mapping_and_what_is_wrong_and_stores_nothing(people):
    text = "Nama\tSurel\tCatatan\n" + "".join(f"N{i}\tn{i}@example.com\tx\n" for i in range(30)) + "bad\t@\t\n"
    shown = (await people.http.post("/v1/contacts/imports/preview", content=text.encode("utf-16"))).json()
    assert (shown["encoding"], shown["delimiter"], len(shown["rows"])) == ("utf-16", "\t", 20)
    assert shown["mapping"] == {"Nama": "name", "Surel": "email", "Catatan": "attribute:catatan"}
    assert shown["rows"][0]["contact"]["email"] == "n0@example.com"
    assert shown["problems"] == []
    assert await people.ctx.db["contacts"].count({}) == 0


async def test_multipart_with_a_mapping_of_ones_own(people):
    files = {"file": ("c.csv", "a,b\nSiti,0812 3456 7890\n".encode("cp1252"), "text/csv")}
    data = {"mapping": '{"a": "name", "b": "phone"}', "tags": "dari-file", "key": "phone"}
    begun = await people.http.post("/v1/contacts/imports", files=files, data=data)
    assert begun.status_code == 202, begun.text
    assert begun.json()["filename"] == "c.csv"
    await runner.run_one(people.ctx, "test")
    found = (await people.http.get("/v1/contacts", params={"tag": "dari-file"})).json()["items"]
    assert [c["phone"] for c in found] == ["+6281234567890"]


async def test_three_hundred_columns_become_attributes(people):
    header = ["email", *(f"Kolom {i}" for i in range(299))]
    row = ["wide@example.com", *(str(i) for i in range(299))]
    made = await people.imported(",".join(header) + "\n" + ",".join(row) + "\n")
    assert made["counts"]["inserted"] == 1
    found = (await people.http.get("/v1/contacts", params={"q": "wide@"})).json()["items"][0]
    assert len(found["attributes"]) == 299
    assert found["attributes"]["kolom_298"] == "298"


def file_of(count: int) -> bytes:
    lines = (f"Orang {i},orang{i}@example.com,0811{i:07d},Kota {i % 50}\n" for i in range(count))
    return ("nama,email,hp,kota\n" + "".join(lines)).encode()


@pytest.mark.parametrize("where", ["before the contacts", "after the contacts", "before the commit"])
async def test_an_import_that_dies_goes_on_with_the_same_contacts_and_counts(people, monkeypatch, where):
    """The process ends in the third stretch; another replica inherits the import once its lease is over."""
    broken = applying.apply if where != "before the commit" else runner.store.commit
    calls = 0

    async def dies(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == 3:
            if where == "after the contacts":
                await broken(*args, **kwargs)
            raise asyncio.CancelledError
        return await broken(*args, **kwargs)

    data = file_of(4_500) + b"bad line,,,\n"
    target = (applying, "apply") if where != "before the commit" else (runner.store, "commit")
    monkeypatch.setattr(*target, dies)
    begun = (await people.http.post("/v1/contacts/imports", content=data)).json()
    with pytest.raises(asyncio.CancelledError):
        await runner.run_one(people.ctx, "first")
    monkeypatch.setattr(*target, broken)
    assert not await runner.run_one(people.ctx, "second")  # the lease still stands
    await people.ctx.db["imports"].update_one({"_id": begun["id"]}, {"$set": {"lease.until": LONG_AGO}})
    assert await runner.run_one(people.ctx, "second")
    made = (await people.http.get(f"/v1/contacts/imports/{begun['id']}")).json()
    assert made["status"] == "done"
    assert (made["counts"]["rows"], made["counts"]["inserted"], made["counts"]["rejected"]) == (4_501, 4_500, 1)
    assert made["counts"]["duplicates"] == 0
    assert await people.ctx.db["contacts"].count({}) == 4_500


async def test_two_replicas_import_two_files_of_the_same_people_without_doubles(people):
    for _ in range(2):
        assert (await people.http.post("/v1/contacts/imports", content=file_of(2_000))).status_code == 202
    await asyncio.gather(runner.run_one(people.ctx, "one"), runner.run_one(people.ctx, "two"))
    while await runner.run_one(people.ctx, "one"):
        pass
    assert await people.ctx.db["contacts"].count({}) == 2_000
    found = (await people.http.get("/v1/contacts/imports")).json()["items"]
    assert sum(i["counts"]["inserted"] for i in found) == 2_000
    assert {i["status"] for i in found} == {"done"}


async def test_a_cancelled_import_stops_and_can_be_forgotten(people):
    begun = (await people.http.post("/v1/contacts/imports", content=file_of(1_500))).json()
    path = f"/v1/contacts/imports/{begun['id']}"
    assert (await people.http.delete(path)).status_code == 409
    assert (await people.http.post(f"{path}/cancel")).json()["status"] == "cancelled"
    assert not await runner.run_one(people.ctx, "one")
    assert (await people.http.delete(path)).status_code == 204


async def test_nothing_is_promised_while_the_bus_is_away(people):
    people.nats.kill()
    answer = await people.http.post("/v1/contacts/imports", content=file_of(10))
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert await people.ctx.db["imports"].count({}) == 0
    people.nats.start()
    await people.ctx.bus.wait_connected()
    for _ in range(100):
        if (await people.http.post("/v1/contacts/imports", content=file_of(10))).status_code == 202:
            break
        await asyncio.sleep(0.1)
    assert await runner.run_one(people.ctx, "test")
    assert await people.ctx.db["contacts"].count({}) == 10


async def test_an_import_waits_for_the_bus_however_long_it_is_away(people):
    begun = (await people.http.post("/v1/contacts/imports", content=file_of(10))).json()
    people.nats.kill()
    for _ in range(runner.MAX_TRIES + 2):
        with pytest.raises(Unavailable):
            await runner.run_one(people.ctx, "test")
    people.nats.start()
    for _ in range(100):
        with contextlib.suppress(Unavailable):
            await runner.run_one(people.ctx, "test")
            break
        await asyncio.sleep(0.1)
    assert (await people.http.get(f"/v1/contacts/imports/{begun['id']}")).json()["status"] == "done"


async def test_an_import_that_ends_its_worker_again_and_again_is_given_up(people):
    begun = (await people.http.post("/v1/contacts/imports", content=file_of(10))).json()
    await people.ctx.db["imports"].update_one({"_id": begun["id"]}, {"$set": {"tries": runner.MAX_TRIES}})
    assert await runner.run_one(people.ctx, "test")
    made = (await people.http.get(f"/v1/contacts/imports/{begun['id']}")).json()
    assert (made["status"], "gave up" in made["error"]) == ("failed", True)


async def test_a_large_file_is_read_in_flat_memory(people):
    """60,000 lines (3 MB of text, 20 times that as objects) in less than 60 MB more than before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    body = "nama,email\n" + "".join(f"Orang {i},@\n" for i in range(60_000))
    made = await people.imported(body)
    assert made["counts"]["rejected"] == 60_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000
    page = (await people.http.get(f"/v1/contacts/imports/{made['id']}/problems", params={"limit": 500})).json()
    assert len(page["items"]) == 500
    second = await people.http.get(
        f"/v1/contacts/imports/{made['id']}/problems", params={"limit": 500, "cursor": page["next_cursor"]}
    )
    assert second.json()["items"][0]["line"] == 502
