"""Small rules: the dot, the worker's state, forms, the catalog, the grid as CSV, the vault."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from accounts import catalog, export
from accounts.api import StatusFilter
from accounts.domain import Account, Dot, dot, is_fresh
from accounts.fields import CREDENTIALS, SETTINGS
from accounts.forms import AccountPatch, NewAccount, PaceForm
from accounts.settings import Settings
from accounts.vault import CredentialSealer
from accounts.views import session_view
from contracts.channels import Channel
from contracts.state import SessionState, SessionStatus
from pydantic import BaseModel, ValidationError
from servicekit.errors import Conflict, Invalid, KurirError, StaleVersion
from servicekit.secrets import Sealer, SealError, generate_key
from servicekit.versions import version_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def account(**fields) -> Account:
    times = {"created_at": NOW, "updated_at": NOW}
    return Account(**({"id": "acc_1", "order": "1", "name": "Toko", "channel": "email", "version": 3} | times | fields))


def state(**fields) -> SessionState:
    times = {"since": NOW, "updated_at": NOW, "last_proof_of_life": NOW}
    known = {"account_id": "acc_1", "channel": "email", "status": "ready", "observed_version": 3}
    return SessionState(**(known | times | fields))


@pytest.mark.parametrize(
    ("status", "session", "fresh", "expected"),
    [
        ("active", SessionStatus.READY, True, Dot.READY),
        ("active", SessionStatus.READY, False, Dot.NEEDS_ATTENTION),
        ("active", SessionStatus.DEGRADED, True, Dot.NEEDS_ATTENTION),
        ("active", SessionStatus.AWAITING_QR, True, Dot.NEEDS_ATTENTION),
        ("active", None, False, Dot.NEEDS_ATTENTION),
        ("inactive", SessionStatus.READY, True, Dot.OFF),
        ("deleting", SessionStatus.READY, True, Dot.OFF),
    ],
)
def test_the_dot(status, session, fresh, expected):
    assert dot(status, session, fresh=fresh) is expected


def test_ready_is_never_a_remembered_flag():
    assert is_fresh(state(), NOW + timedelta(seconds=180), 180)
    assert not is_fresh(state(), NOW + timedelta(seconds=181), 180)
    assert not is_fresh(state(last_proof_of_life=None), NOW, 180)


@pytest.mark.parametrize(
    ("on", "for_all", "reported", "expected"),
    [
        (True, True, state(), "on"),
        (False, True, state(observed_version=2), "stopping"),
        (False, True, state(worker="off", observed_version=2), "stopping"),
        (False, True, state(worker="off"), "off"),
        (True, False, state(), "stopping"),
        (True, False, state(worker="off"), "off"),
        (True, True, state(worker="off"), "off"),
        (False, True, None, "off"),
        (True, True, None, "on"),
        (False, True, state(status="off", worker="on"), "off"),
    ],
)
def test_the_worker_is_what_the_channel_has_confirmed(on, for_all, reported, expected):
    assert session_view(account(worker=on), reported, worker_for_all=for_all, fresh=True).worker == expected


def test_versions_and_deletion_guard_an_edit():
    account().require_version(None)
    with pytest.raises(StaleVersion):
        account().require_version(2)
    with pytest.raises(Conflict):
        account(status="deleting").require_editable()


def test_if_match_in_its_forms():
    assert [version_of(text) for text in ('"3"', 'W/"3"', "3", "*")] == [3, 3, 3, None]
    assert version_of(None, 4) == 4
    assert version_of('"5"', 4) == 5
    with pytest.raises(Invalid):
        version_of('"x"')
    with pytest.raises(KurirError, match="version_required"):
        version_of(None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"name": "a\r\nb"},
        {"name": "x" * 201},
        {"notes": "a\0b"},
        {"category": "extractor"},
        {"pace": {"min_pause_seconds": 5, "max_pause_seconds": 1}},
        {"pace": {"per_secnd": 1}},
        {"pace": {"quiet_hours": {"start": "22:00", "end": "06:00", "time_zone": "Mars/Base"}}},
        {"pace": {"quiet_hours": {"start": "25:00", "end": "06:00"}}},
        {"id": "acc_mine"},
        {"credentials": {"smtp_password": 1}},
    ],
)
def test_forms_refuse(wrong):
    with pytest.raises(ValidationError):
        NewAccount.model_validate({"name": "Toko", "channel": "email"} | wrong)


def test_forms_keep_secrets_out_of_their_text():
    form = AccountPatch.model_validate({"credentials": {"smtp_password": "hunter2", "imap_password": None}})
    assert "hunter2" not in repr(form)
    assert form.changes().credentials == {"smtp_password": "hunter2", "imap_password": None}


def test_the_pace_is_kept_plain():
    assert type(PaceForm(per_second=2).plain()).__name__ == "Pace"


@pytest.mark.parametrize("channel", list(Channel))
def test_the_catalog_names_real_fields(channel):
    view = catalog.describe(channel)
    assert view.title
    for form_field in view.fields:
        where, *path = form_field.name.split(".")
        model: type[BaseModel] = {"settings": SETTINGS, "credentials": CREDENTIALS}[where][channel]
        for name in path:
            found = model.model_fields[name]
            inner = [t for t in (found.annotation, *getattr(found.annotation, "__args__", ())) if isinstance(t, type)]
            model = next((t for t in inner if issubclass(t, BaseModel)), model)


def test_required_fields_of_the_models_are_required_in_the_catalog():
    for channel in set(Channel) - {Channel.EMAIL}:
        drawn = {f.name for f in catalog.FIELDS.get(channel, []) if f.required}
        asked = {f"settings.{n}" for n, f in SETTINGS[channel].model_fields.items() if f.is_required()}
        asked |= {f"credentials.{n}" for n, f in CREDENTIALS[channel].model_fields.items() if f.is_required()}
        assert drawn == asked


def test_csv_cells_are_no_formulas_and_survive_quotes():
    assert export._line(["=1+1", 'a "b"', "x\ny", "plain"]) == '\'=1+1,"a ""b""","x\ny",plain\r\n'


def test_sealed_credentials_belong_to_one_account_of_one_channel():
    vault = CredentialSealer(Sealer.from_keys(generate_key()))
    sealed = vault.seal(Channel.EMAIL, "acc_1", {"smtp_password": "hunter2"})
    assert "hunter2" not in sealed
    assert vault.open(Channel.EMAIL, "acc_1", sealed) == {"smtp_password": "hunter2"}
    for channel, other in ((Channel.EMAIL, "acc_2"), (Channel.TELEGRAM, "acc_1")):
        with pytest.raises(SealError):
            vault.open(channel, other, sealed)
    assert vault.seal(Channel.EMAIL, "acc_1", {}) is None


def test_channels_are_a_setting(monkeypatch):
    assert Settings().enabled == (Channel.EMAIL,)
    monkeypatch.setenv("KURIR_CHANNELS", "telegram, email")
    assert Settings().enabled == (Channel.EMAIL, Channel.TELEGRAM)
    monkeypatch.setenv("KURIR_CHANNELS", "fax")
    with pytest.raises(ValidationError, match="unknown channels: fax"):
        Settings()


def test_accounts_are_filtered_by_every_dot_and_state():
    assert set(get_args(StatusFilter)) == {*Dot, *SessionStatus, "inactive", "deleting"}
