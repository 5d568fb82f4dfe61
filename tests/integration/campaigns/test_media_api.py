"""Files over HTTP."""

import os
from datetime import timedelta

import pytest
from campaigns.media import orphans, usecases
from servicekit.errors import NotFound


async def test_a_file_goes_in_and_comes_out_as_it_was_and_is_only_saved_never_shown(people):
    data = os.urandom(700_000)
    name = '../../Harga "kopi" ☕\r\n.html'
    made = await people.http.post("/v1/media", files={"file": ("x.html", data, "text/html")})
    assert made.status_code == 201, made.text
    found = made.json()
    assert (found["size"], found["content_type"]) == (len(data), "text/html")
    answer = await people.viewer.get(f"/v1/media/{found['id']}/content")
    assert answer.content == data
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await people.nobody.get(f"/v1/media/{found['id']}/content")).status_code == 401
    evil = (await people.http.post("/v1/media", files={"file": (name, b"x", "text/html\r\nX: y")})).json()
    assert "/" not in evil["filename"]
    assert "\n" not in evil["filename"]


async def test_what_is_too_large_empty_or_missing_is_refused_as_a_problem(people):
    big = b"x" * (30 << 20)
    for size in (len(big), (25 << 20) + 1, 40 << 20):
        answer = await people.http.post("/v1/media", files={"file": ("a.bin", (big * 2)[:size])})
        assert answer.status_code == 413, answer.text
        assert answer.json()["reason"] == "too_large"
    assert (await people.http.post("/v1/media", files={"file": ("a.bin", b"")})).status_code == 422
    assert (await people.http.post("/v1/media", data={"a": "b"})).status_code == 422
    assert (await people.viewer.post("/v1/media", files={"file": ("a", b"x")})).status_code == 403
    assert await people.ctx.db["media"].count({}) == 0


async def test_a_file_of_the_largest_size_is_taken(people):
    made = await people.http.post("/v1/media", files={"file": ("a.bin", b"x" * (25 << 20))})
    assert made.status_code == 201
    assert (await people.http.delete(f"/v1/media/{made.json()['id']}")).status_code == 204
    assert (await people.http.get(f"/v1/media/{made.json()['id']}")).status_code == 404


async def test_what_nobody_names_is_collected_and_all_else_stays(people):
    kept = (await people.http.post("/v1/media", files={"file": ("a.bin", b"kept")})).json()
    stored = usecases.bucket(people.ctx)
    begun = await people.http.post("/v1/contacts/imports", content="email\na@example.com\n")
    inbound, orphan = await stored.put(b"inbound"), await stored.put(b"orphan")
    await people.ctx.db["messages"].insert_one({"_id": "m", "objects": [inbound]})
    await people.ctx.db["campaigns"].insert_one({"_id": "c", "file": {"pieces": [await stored.put(b"file")]}})
    assert await orphans.collect(people.ctx) == 0  # all of them are young
    assert await orphans.collect(people.ctx, timedelta(seconds=-1)) == 1
    with pytest.raises(NotFound):
        await stored.get(orphan)
    assert await stored.get(inbound) == b"inbound"
    assert (await people.http.get(f"/v1/media/{kept['id']}/content")).content == b"kept"
    assert begun.status_code == 202
