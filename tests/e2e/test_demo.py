"""The two commands a new user gives, on ports and folders of their own."""

import json
import os
import subprocess
import sys

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


def kurir(*arguments, home=None, timeout=280):
    environment = {k: v for k, v in os.environ.items() if k not in ("NATS_URL", "MONGO_URL")}
    if home:
        environment["KURIR_HOME"] = str(home)
    command = [sys.executable, "-m", "kurir", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)


def test_the_rehearsal_adds_up():
    ended = kurir("demo", "--channel", "email", "--recipients", "60", "--exit", "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert list(found) == FIELDS
    assert (found["sent"], found["platform_received"], found["duplicates"]) == (60, 60, 0)
    assert (found["replies"], found["answered"], found["unsubscribed"], found["bounced"]) == (6, 1, 1, 1)


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
        assert set(found["services"]) == {"accounts", "campaigns", "channel-email"}
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
    assert "there is: email" in ended.stderr
