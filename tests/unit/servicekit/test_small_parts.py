"""Cursors, clock, settings, trace context."""

import contextlib
import json
import os
import subprocess
import sys

import pytest
from contracts import examples
from contracts.headers import CE_TYPE, MSG_ID
from contracts.inbox import Received
from contracts.state import WorkerSwitch
from hypothesis import given
from hypothesis import strategies as st
from pydantic_settings import SettingsConfigDict
from servicekit import tracing
from servicekit.bus import Bus
from servicekit.clock import OFFSET_VARIABLE, FixedClock, boottime, utcnow
from servicekit.delivery.received import by_contract
from servicekit.errors import Invalid, Permanent
from servicekit.pagination import Page, decode_cursor, encode_cursor
from servicekit.settings import ServiceSettings


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists))
def test_cursors_come_back(value):
    assert decode_cursor(encode_cursor(value)) == value


@pytest.mark.parametrize("cursor", ["!", "YQ", "é", "eyJ", "a" * 1_000])
def test_a_foreign_cursor_is_invalid(cursor):
    with pytest.raises(Invalid) as caught:
        decode_cursor(cursor)
    assert "cursor" in caught.value.fields


def test_no_cursor_is_the_first_page():
    assert decode_cursor(None) is None
    assert decode_cursor("") is None
    assert Page[int](items=[1]).next_cursor is None


def test_settings_come_shared_and_prefixed(monkeypatch):
    class AccountsSettings(ServiceSettings):
        model_config = SettingsConfigDict(env_prefix="ACCOUNTS_")
        sweep_seconds: float = 60

    for name, value in {
        "NATS_URL": "nats://n",
        "ACCOUNTS_PORT": "8101",
        "ACCOUNTS_SWEEP_SECONDS": "5",
        "KURIR_JWT_SECRET": "s",
    }.items():
        monkeypatch.setenv(name, value)
    settings = AccountsSettings()
    assert (settings.nats_url, settings.port, settings.sweep_seconds) == ("nats://n", 8101, 5)
    assert "s" not in repr(settings.jwt_secret)
    assert settings.instance_id != AccountsSettings().instance_id


def test_the_fixed_clock_moves_only_when_told():
    clock = FixedClock()
    at, since = clock.utcnow(), clock.boottime()
    clock.advance(90)
    assert ((clock.utcnow() - at).total_seconds(), clock.boottime() - since) == (90, 90)
    assert utcnow().tzinfo is not None
    assert boottime() <= boottime()


@pytest.mark.parametrize("written", [None, "46800.5"])
def test_a_process_runs_ahead_by_what_the_offset_file_holds(tmp_path, written):
    file = tmp_path / "offset"
    if written is not None:
        file.write_text(written)
    say = "from servicekit.clock import *; print(utcnow().timestamp(), boottime())"
    before = utcnow().timestamp(), boottime()
    said = subprocess.check_output([sys.executable, "-c", say], env={**os.environ, OFFSET_VARIABLE: str(file)})
    wall, boot = (float(number) - since for number, since in zip(said.split(), before, strict=True))
    for ahead in (wall, boot):
        assert 0 <= ahead - float(written or 0) < 30


def test_a_trace_goes_on_with_new_spans():
    with tracing.continued({"traceparent": f"00-{'1' * 32}-{'2' * 16}-00"}):
        one, two = tracing.child(), tracing.child()
    assert one.split("-")[1] == "1" * 32
    assert one != two
    assert tracing.child().split("-")[1] != "1" * 32


def test_messages_carry_cloudevents_headers_and_plain_values_do_not():
    bus = Bus(ServiceSettings(service="unit"))
    data, headers = bus.envelope(WorkerSwitch(worker=True), "id-1", {"x": "y"})
    assert (headers[MSG_ID], headers["x"], CE_TYPE in headers) == ("id-1", "y", False)
    assert WorkerSwitch.model_validate_json(data).worker


@pytest.mark.parametrize(
    ("subject", "headers", "reason"),
    [
        ("evt.accounts.account.exploded.v1", {}, "unknown_subject"),
        ("inbox.email.a.sent.v2", {}, "unknown_subject"),
        ("inbox.email.a.sent.v1", {CE_TYPE: "kurir.message.sent.v9"}, "unknown_version"),
    ],
)
def test_what_no_contract_names_is_hopeless(subject, headers, reason):
    with pytest.raises(Permanent) as caught:
        by_contract(subject, headers, b"{}")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("subject", "good"),
    [
        ("inbox.email.acc_1.received.v1", True),
        ("inbox.email.acc_2.received.v1", False),
        ("inbox.telegram.acc_1.received.v1", False),
    ],
)
def test_a_message_speaks_for_no_other_account_than_its_subject(subject, good):
    data = {**examples.example(Received), "account_id": "acc_1", "channel": "email"}
    with contextlib.nullcontext() if good else pytest.raises(Permanent, match="wrong_account"):
        assert by_contract(subject, {}, json.dumps(data).encode())
