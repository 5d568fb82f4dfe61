"""How far a folder is read, whatever its server says and when."""

# ruff: noqa: ARG002  # a box is asked by folder and section; here all are alike

import threading
import time
from datetime import UTC, datetime

import pytest
from channel_email import folder as module
from channel_email.folder import FolderReader
from channel_email.headlines import Headline
from channel_email.settings import Settings

AT = datetime(2026, 11, 1, tzinfo=UTC)


class Box:
    """A mailbox: `counted` is the last UID its server has given away, `visible` what a session sees already."""

    def __init__(self, visible, counted) -> None:
        self.visible, self.counted, self.selected = list(visible), counted, ""
        self.after_select = lambda: None

    def status(self, folder):
        return 1, self.counted + 1

    def select(self, folder):
        self.selected = folder
        self.after_select()

    def uids_after(self, uid):
        return [one for one in self.visible if one > uid]

    def headlines(self, uids):
        return [Headline(uid, 1, AT) for uid in uids if uid in self.visible]

    def contents(self, uids, section=""):
        return {uid: str(uid).encode() for uid in uids}


@pytest.fixture
def read():
    def begin(box, position="1:4:0"):
        delivered, saved = [], []
        reader = FolderReader(
            box, {"INBOX": position}, lambda d: delivered.append(int(d.raw)), saved.append, settings=Settings()
        )
        return reader, delivered, saved

    return begin


def look(reader):
    reader.catch_up("INBOX", threading.Event())


def test_a_message_that_is_counted_before_it_is_visible_is_not_passed_over(read):
    """Large providers raise UIDNEXT before every session sees the message."""
    box = Box(visible=[5], counted=7)
    reader, delivered, saved = read(box)
    look(reader)
    assert delivered == [5]
    assert saved[-1]["INBOX"].startswith("1:5:")
    box.visible += [6, 7]
    look(reader)
    assert delivered == [5, 6, 7]
    assert saved[-1]["INBOX"].startswith("1:7:")


def test_a_session_that_looks_at_an_old_state_selects_anew(read):
    box = Box(visible=[], counted=5)
    box.selected = "INBOX"
    box.after_select = lambda: box.visible.append(5)
    reader, delivered, _ = read(box)
    look(reader)
    assert delivered == [5]


def test_what_was_deleted_before_it_was_seen_is_passed_in_the_end(read, monkeypatch):
    monkeypatch.setattr(module, "_GONE_AFTER_SECONDS", 0.1)
    box = Box(visible=[], counted=9)
    reader, delivered, saved = read(box)
    look(reader)
    assert saved == []
    time.sleep(0.15)
    box.counted = 10  # given away just now: this one may still appear
    look(reader)
    assert saved[-1]["INBOX"].startswith("1:9:")
    box.visible.append(10)
    look(reader)
    assert delivered == [10]
