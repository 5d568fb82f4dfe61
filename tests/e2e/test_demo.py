"""The two commands a new user gives, on ports and folders of their own."""

import json
import os
import subprocess
import sys

import pytest

FIELDS = [
    "channel",
    "recipients",
    "sent",
    "bounced",
    "failed",
    "unknown",
    "cancelled",
    "platform_received",
    "duplicates",
    "replies",
    "answered",
    "unsubscribed",
    "seconds",
]


def kurir(*arguments, home=None, timeout=280, **variables):
    environment = {k: v for k, v in os.environ.items() if k not in ("NATS_URL", "MONGO_URL")} | variables
    if home:
        environment["KURIR_HOME"] = str(home)
    command = [sys.executable, "-m", "kurir", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)


@pytest.mark.parametrize(
    ("channel", "recipients", "failed", "bounced", "replies"),
    [
        ("email", 60, 0, 1, 6),
        ("telegram", 60, 2, 0, 7),  # one has blocked the account, one is not there; STOP is a reply as well
        ("whatsapp", 30, 1, 0, 4),
    ],
)
def test_the_rehearsal_adds_up(channel, recipients, failed, bounced, replies):
    ended = kurir("demo", "--channel", channel, "--recipients", str(recipients), "--exit", "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert list(found) == FIELDS
    arrived = recipients - failed
    assert (found["sent"], found["platform_received"], found["duplicates"]) == (arrived, arrived, 0)
    assert (found["failed"], found["unknown"], found["bounced"]) == (failed, 0, bounced)
    assert (found["replies"], found["answered"], found["unsubscribed"]) == (replies, 1, 1)


def test_up_status_logs_down_and_wipe(tmp_path):
    home = tmp_path / "kurir"
    try:
        up = kurir("up", "--detach", home=home)
        assert up.returncode == 0, up.stderr
        assert "token" in up.stdout
        again = kurir("up", home=home)
        assert again.returncode == 1
        assert "already up" in again.stderr
        status = kurir("status", "--json", home=home)
        found = json.loads(status.stdout)
        assert (status.returncode, found["ready"]) == (0, True)
        assert set(found["services"]) == {
            "accounts", "campaigns", "channel-email", "channel-telegram", "channel-whatsapp",
        }  # fmt: skip
        logs = kurir("logs", "accounts", home=home)
        assert logs.returncode == 0
        assert logs.stdout
        wiped = kurir("down", "--wipe", "--yes", home=home)
        assert wiped.returncode == 0, wiped.stderr
        assert not home.exists()
    finally:
        kurir("down", home=home)
    assert kurir("status", home=home).returncode == 3
    assert kurir("down", home=home).stdout.strip() == "nothing was up"


def test_without_a_browser_the_rest_works_and_one_line_says_what_is_missing(tmp_path):
    home, wanted = tmp_path / "kurir", {"KURIR_CHANNELS": "whatsapp", "CHANNEL_WHATSAPP_BROWSER": "/nowhere/chromium"}
    try:
        up = kurir("up", "--detach", home=home, **wanted)
        assert up.returncode == 0, up.stderr
        missing = (
            "browser_missing: the browser named in the settings, /nowhere/chromium, is not a program on this machine"
        )
        said = [line for line in up.stdout.splitlines() if "/nowhere/chromium" in line]
        assert said == [f"channel-whatsapp is up, but lacks browser: {missing}"]
        status = kurir("status", "--json", home=home)
        found = json.loads(status.stdout)["services"]
        assert (status.returncode, found["channel-whatsapp"]["health"]["status"]) == (0, "degraded")
        assert set(found) == {"accounts", "campaigns", "channel-whatsapp"}, "no other channel was asked for"
    finally:
        kurir("down", home=home)
    ended = kurir("demo", "--channel", "whatsapp", "--exit", **wanted)
    assert ended.returncode == 1
    assert "channel-whatsapp lacks browser: browser_missing: the browser named" in ended.stderr


def test_a_folder_of_a_newer_kurir_is_refused_with_the_reason(tmp_path):
    (tmp_path / "layout").write_text("99")
    ended = kurir("up", "--home", str(tmp_path))
    assert ended.returncode == 1
    assert "newer Kurir" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert kurir("up", "--home", str(tmp_path)).returncode == 1
    assert kurir("down", "--wipe", "--yes", "--home", str(tmp_path)).returncode == 1
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_unknown_channel_says_what_there_is():
    ended = kurir("demo", "--channel", "pigeon", "--exit")
    assert ended.returncode == 1
    assert "there is: email, telegram, whatsapp" in ended.stderr
