"""Rules of conversations."""

from datetime import UTC, datetime

import pytest
from campaigns.inbox import domain
from contracts.inbox import Received


def message(text: str, **fields) -> Received:
    base = {
        "id": "i", "account_id": "a", "channel": "whatsapp", "platform_id": "p", "sender": {"address": "+628"},
        "conversation": "+628", "at": datetime.now(UTC), "text": text,
    }  # fmt: skip
    return Received.model_validate({**base, **fields})


@pytest.mark.parametrize(
    ("subject", "reply"),
    [("Kopi", "Re: Kopi"), ("RE: re[2]: Fwd: Kopi", "Re: Kopi"), ("Bls: Kopi", "Re: Kopi"), (None, "Re: your message"),
     ("Kopi\r\nBcc: x@example.com", "Re: Kopi Bcc: x@example.com"), ("Regarding: x", "Re: Regarding: x")],
)  # fmt: skip
def test_a_subject_is_answered_once(subject, reply):
    assert domain.reply_subject(subject) == reply


@pytest.mark.parametrize(
    ("text", "stops"), [("STOP", True), ("berhenti.", True), (" Stop!! ", True), ("stop dulu", False), ("", False)]
)
def test_only_the_word_alone_stops(text, stops):
    words = ["STOP", "BERHENTI", ""]
    assert domain.stops(message(text), words) is stops
    assert not domain.stops(message(text, channel="email"), words)
    assert not domain.stops(message(text, own=True), words)
    assert not domain.stops(message(text, auto_reply=True), words)


def test_a_conversation_is_one_per_account_and_peer_whatever_the_case():
    assert domain.conversation_id("a", "X@example.com") == domain.conversation_id("a", "x@example.com ")
    assert domain.conversation_id("a", "x") != domain.conversation_id("b", "x")


def test_a_thread_names_the_last_message_and_those_before_it():
    assert domain.thread_of(None) is None
    thread = domain.thread_of({"platform_id": "<c>", "references": [f"<{i}>" for i in range(40)] + ["<c>"]})
    assert thread is not None
    assert thread.in_reply_to == "<c>"
    assert thread.references[-2:] == ["<39>", "<c>"]
    assert len(thread.references) == 31


@pytest.mark.parametrize(
    ("closed", "assignee", "status"),
    [
        (None, None, "unassigned"),
        (None, "Rina", "assigned"),
        ("resolved", "Rina", "resolved"),
        ("archived", None, "archived"),
    ],
)
def test_the_status_of_a_conversation(closed, assignee, status):
    assert domain.status({"closed": closed, "assignee": assignee}) == status


def test_a_preview_is_the_first_line_of_ones_own():
    assert domain.preview("Kopi", "> you wrote\n\n  Masih  ada?\nya") == "Masih ada?"
    assert domain.preview("Kopi", "") == "Kopi"
    assert domain.preview("Kopi", "x", "too_large") == "[too_large]"
