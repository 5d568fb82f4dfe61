# ruff: noqa: FBT003  # a page's state is a row of values
"""What the page tells, and what its state means."""

import pytest
from channel_whatsapp.messages import State, message

TOLD = {
    "id": "3A1", "key": "false_62@c.us_3A1", "fromMe": False, "chat": "62@c.us", "chatPhone": "62", "author": "62@c.us",
    "authorPhone": "62", "name": "Siti", "at": 1_700_000_000, "type": "chat", "body": "Halo", "caption": "",
    "media": False, "mimetype": "", "filename": "", "size": 0, "quoted": "", "ack": 0, "place": None, "card": "",
    "ours": False, "notice": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("authenticated", "mode", "stage"),
    [
        (True, "MAIN", "ready"),
        (True, "SYNCING", "loading"),
        (True, "QR", "loading"),
        (False, "QR", "qr"),
        (False, "MAIN", "strange"),
        (False, "SYNCING", "loading"),
        (True, "TOS_BLOCK", "blocked"),
        (False, "CONFLICT", "blocked"),
    ],
)
def test_only_an_authenticated_main_stream_is_ready(authenticated, mode, stage):
    state = State(authenticated, mode, "NORMAL", "62811:3@c.us")
    assert state.stage == stage
    assert state.online == (stage == "ready")
    assert bool(state.why_blocked) == (stage == "blocked")


def test_a_page_without_a_connection_is_not_online():
    assert not State(True, "MAIN", "OFFLINE", "").online


def test_the_identity_is_the_own_number_without_the_device():
    assert State(True, "MAIN", "NORMAL", "62811:3@c.us").identity == "+62811"
    assert State(True, "MAIN", "NORMAL", "99@lid").identity == ""


def test_a_message_is_what_its_sender_wrote():
    assert message(TOLD).text == "Halo"
    assert message({**TOLD, "type": "image", "body": "", "caption": "ini"}).text == "ini"
    assert message({**TOLD, "type": "location", "body": "", "place": [-6.2, 106.8]}).text.endswith("?q=-6.2,106.8")
    assert message({**TOLD, "place": [None, None]}).place is None
