"""One command as several messages, and the ids they carry."""

import re

import pytest
from channel_whatsapp.parts import CAPTION_LIMIT, count, is_ours, is_voice, kind, message_id, parts
from contracts.commands import Attachment, Content
from contracts.ids import platform_key


def file(content_type, name="f"):
    return Attachment(object="o", filename=name, content_type=content_type, size=1)


IMAGE, PDF, VOICE = file("image/jpeg"), file("application/pdf"), file("audio/ogg; codecs=opus")


def shape(content):
    return [(part.text, part.attachment.content_type if part.attachment else "") for part in parts(content)]


def test_text_is_the_caption_of_the_first_file_and_bubbles_come_last():
    content = Content(text="Menu", attachments=[IMAGE, PDF], bubbles=["Pesan?", "Balas YA"])
    assert shape(content) == [
        ("Menu", "image/jpeg"),
        ("", "application/pdf"),
        ("Pesan?", ""),
        ("Balas YA", ""),
    ]
    assert count(content) == 4


@pytest.mark.parametrize(
    ("text", "first"), [("Dengar", VOICE), ("x" * (CAPTION_LIMIT + 1), IMAGE)], ids=["sound", "long"]
)
def test_what_cannot_be_a_caption_is_a_message_before_the_file(text, first):
    assert shape(Content(text=text, attachments=[first])) == [(text, ""), ("", first.content_type)]


def test_a_file_alone_and_a_text_alone_are_one_message():
    assert shape(Content(attachments=[VOICE])) == [("", VOICE.content_type)]
    assert shape(Content(text="Halo")) == [("Halo", "")]


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [
        ("image/png", "image"),
        ("image/svg+xml", "document"),
        ("video/mp4", "video"),
        ("video/x-msvideo", "document"),
        ("audio/mpeg", "audio"),
        ("text/csv", "document"),
    ],
)
def test_files_are_shown_as_what_whatsapp_can_show(content_type, shown):
    assert kind(file(content_type)) == shown


def test_only_what_phones_record_is_a_voice_note():
    assert is_voice(VOICE)
    assert not is_voice(file("audio/mpeg"))


def test_an_id_has_whatsapp_webs_form_and_is_the_same_for_the_same_key():
    key = platform_key("row", 0, 1)
    made = message_id(key)
    assert re.fullmatch(r"3EB0[0-9A-F]{18}", made)
    assert made == message_id(key)
    assert (
        len({message_id(platform_key(f"row{n}", w, p)) for n in range(50) for w in range(2) for p in range(3)}) == 300
    )


def test_ours_are_known_by_their_id_alone():
    assert is_ours(message_id(platform_key("row", 0)))
    for other in ("3EB0" + "A" * 18, "3A" + "0" * 18, "", "3EB0", message_id(platform_key("row", 0))[:-1] + "G"):
        assert not is_ours(other)
