"""What a channel takes from the watched bucket."""

import pytest
from channelkit.desired import Desired, _Entry
from contracts.channels import Channel
from contracts.state import DesiredAccount, WorkerSwitch
from servicekit.bus import Bus
from servicekit.settings import ServiceSettings


@pytest.fixture
def changes():
    return []


@pytest.fixture
def desired(changes):
    return Desired(Bus(ServiceSettings()), Channel.TELEGRAM, changes.append)


def tell(desired, key, value):
    desired._on_change(key, None if value is None else _Entry.model_validate_json(value.model_dump_json()), 1)


def account(account_id="acc", channel=Channel.TELEGRAM, **fields):
    return DesiredAccount(account_id=account_id, channel=channel, version=1, status="active", **fields)


def test_an_account_comes_and_goes(desired, changes):
    tell(desired, "acc", account())
    assert desired.get("acc").status == "active"
    assert desired.worker_on("acc")
    tell(desired, "acc", None)
    assert desired.get("acc") is None
    assert not desired.worker_on("acc")
    assert changes == ["acc", "acc"]


def test_the_switch_for_all_holds_also_who_comes_later(desired, changes):
    tell(desired, "_all", WorkerSwitch(worker=False))
    tell(desired, "acc", account())
    assert not desired.worker_on("acc")
    tell(desired, "_all", WorkerSwitch(worker=True))
    assert desired.worker_on("acc")
    assert changes == [None, "acc", None]


def test_another_accounts_or_channels_value_under_a_key_is_ignored(desired, changes):
    tell(desired, "acc", account("other"))
    tell(desired, "acc", account(channel=Channel.EMAIL))
    tell(desired, "acc", WorkerSwitch(worker=False))
    assert desired.get("acc") is None
    assert changes == []


def test_a_process_about_to_end_counts_every_worker_as_off(desired):
    tell(desired, "acc", account())
    desired.stop_workers()
    assert not desired.worker_on("acc")
