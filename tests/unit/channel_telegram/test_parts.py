"""A message's content as parts: split where it is long, captions, files, bubbles."""

import asyncio

import pytest
from channel_telegram.formatting import from_marks, units
from channel_telegram.media import StillUploading, Uploads, kind
from channel_telegram.parts import LONGEST_CAPTION, LONGEST_TEXT, parts, split
from channel_telegram.sender import random_id
from contracts.commands import Attachment, Content
from contracts.ids import platform_key
from hypothesis import given
from hypothesis import strategies as st


def file(content_type="image/jpeg", size=10, name="a"):
    return Attachment(object=f"obj-{name}", filename=f"{name}.bin", content_type=content_type, size=size)


def test_text_and_bubbles_are_parts_in_their_order():
    made = parts(Content(text="*satu*", bubbles=["dua", "", "  tiga "]))
    assert [one.body.text for one in made] == ["satu", "dua", "tiga"]
    assert made[0].body.marks[0].kind == "bold"


def test_a_short_text_is_the_first_files_caption_and_a_long_one_goes_before_it():
    made = parts(Content(text="ini", attachments=[file(), file(name="b")], bubbles=["akhir"]))
    assert [(one.body.text, one.attachment and one.attachment.object) for one in made] == [
        ("ini", "obj-a"), ("", "obj-b"), ("akhir", None),
    ]  # fmt: skip
    long = "x" * (LONGEST_CAPTION + 1)
    made = parts(Content(text=long, attachments=[file()]))
    assert [(one.body.text, one.attachment is None) for one in made] == [(long, True), ("", False)]


def test_html_counts_before_the_text():
    made = parts(Content(text="polos", html="<b>tebal</b>"))
    assert [(one.body.text, one.body.marks[0].kind) for one in made] == [("tebal", "bold")]


def test_a_long_text_is_cut_at_lines_then_words():
    words = " ".join(["kata"] * 3_000)
    pieces = split(from_marks(words))
    assert " ".join(one.text for one in pieces) == words
    lines = "\n".join(["baris yang panjang"] * 500)
    assert "\n".join(one.text for one in split(from_marks(lines))) == lines


@given(st.text(st.sampled_from("a😀 \n*_"), max_size=300), st.integers(2, 50))
def test_no_piece_is_too_long_and_nothing_but_space_is_lost(text, limit):
    body = from_marks(text)
    pieces = split(body, limit)
    assert all(0 < units(one.text) <= limit for one in pieces)
    assert "".join("".join(one.text.split()) for one in pieces) == "".join(body.text.split())
    for one in pieces:
        assert all(m.length > 0 and m.offset + m.length <= units(one.text) for m in one.marks)


def test_an_emoji_is_never_cut_in_two():
    pieces = split(from_marks("😀" * LONGEST_TEXT))
    assert [len(one.text) for one in pieces] == [LONGEST_TEXT // 2, LONGEST_TEXT // 2]


def test_each_part_has_a_random_id_of_64_bits_that_repeats_and_differs():
    ids = {(wanted, part): random_id(platform_key("row", wanted, part)) for wanted in (0, 1) for part in (0, 1)}
    assert len(set(ids.values())) == 4
    assert all(-(2**63) <= one < 2**63 and one for one in ids.values())
    assert random_id(platform_key("row", 0, 0)) == ids[0, 0]


def test_files_are_shown_by_their_content_type():
    kinds = {
        "image/jpeg": "photo", "image/png": "photo", "image/gif": "document", "video/mp4": "video",
        "audio/ogg": "voice", "audio/ogg; codecs=opus": "voice", "audio/mpeg": "audio", "application/pdf": "document",
    }  # fmt: skip
    assert {given: kind(file(given)) for given in kinds} == kinds
    assert kind(file("image/png", size=20_000_000)) == "document"


async def test_a_file_is_uploaded_once_until_it_expires():
    asked = []

    async def upload(attachment, shown):
        asked.append((attachment.object, shown))
        return len(asked)

    uploads = Uploads(kept=2)
    assert [await uploads.get(file(), upload, 5) for _ in range(3)] == [1, 1, 1]
    uploads.forget(file())
    assert await uploads.get(file(), upload, 5) == 2
    for name in ("b", "c"):
        await uploads.get(file(name=name), upload, 5)
    assert await uploads.get(file(), upload, 5) == 5, "only two are kept"


async def test_an_upload_outlives_the_patience_of_its_sender():
    begun, done = 0, asyncio.Event()

    async def upload(_attachment, _shown):
        nonlocal begun
        begun += 1
        await done.wait()
        return "there"

    uploads = Uploads(kept=2)
    with pytest.raises(StillUploading):
        await uploads.get(file(), upload, 0.01)
    done.set()
    assert await uploads.get(file(), upload, 5) == "there"
    assert begun == 1


async def test_an_upload_that_failed_is_begun_anew():
    async def fails(_attachment, _shown):
        raise ConnectionError("gone")

    async def works(_attachment, _shown):
        return "there"

    uploads = Uploads(kept=2)
    with pytest.raises(ConnectionError, match="gone"):
        await uploads.get(file(), fails, 5)
    assert await uploads.get(file(), works, 5) == "there"
