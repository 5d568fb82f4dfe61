"""Logs do not fill the disk: each is cut at its limit, three older ones stay, and its part goes on writing."""

import asyncio
import sys

import pytest
from kurir import logfiles
from kurir.home import Trouble


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_three_older_files_stay_and_the_newest_is_the_first(tmp_path):
    log = tmp_path / "campaigns.log"
    for number in range(5):
        with log.open("ab") as out:
            out.write(b"%d" % number * 20)
        logfiles.look(tmp_path, 10)
    assert names(tmp_path) == ["campaigns.log", "campaigns.log.1", "campaigns.log.2", "campaigns.log.3"]
    assert log.read_bytes() == b""
    assert [(tmp_path / f"campaigns.log.{n}").read_bytes()[:1] for n in (1, 2, 3)] == [b"4", b"3", b"2"]


def test_what_is_small_stays_as_it_is(tmp_path):
    (tmp_path / "nats.log").write_bytes(b"x" * 10)
    logfiles.look(tmp_path, 10)
    assert names(tmp_path) == ["nats.log"]


WRITER = """
import sys, time
for number in range(4000):
    print(f"line {number:05d}", flush=True)
    if number % 40 == 0:
        time.sleep(0.005)
"""


async def test_a_part_that_writes_meanwhile_goes_on_in_the_same_file(tmp_path):
    log = tmp_path / "part.log"
    with log.open("ab") as out:
        writer = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, stdout=out)
    watching = asyncio.create_task(logfiles.watch(tmp_path, 20_000, every_seconds=0.02))
    assert await asyncio.wait_for(writer.wait(), 30) == 0
    watching.cancel()
    files = [tmp_path / f"part.log{end}" for end in (".2", ".1", "")]
    assert files[1].exists()  # on a busy machine it was looked at once, not three times
    kept = b"".join(file.read_bytes() for file in files if file.exists())
    lines = kept.decode().splitlines()
    assert "\0" not in kept.decode()
    assert lines[-1] == "line 03999"
    assert log.stat().st_size <= 30_000


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path):
    log = tmp_path / "store.log"
    log.write_bytes(b"x" * 20)
    (tmp_path / "store.log.0").mkdir()  # nothing can be written where the copy goes
    logfiles.look(tmp_path, 10)
    assert log.read_bytes() == b"x" * 20


@pytest.mark.parametrize(("text", "limit"), [("20", 20_000_000), ("0", 0)])
def test_the_limit_is_a_setting(monkeypatch, text, limit):
    monkeypatch.setenv("KURIR_LOG_MAX_MB", text)
    assert logfiles.limit_bytes() == limit


def test_a_limit_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("KURIR_LOG_MAX_MB", "much")
    with pytest.raises(Trouble, match="KURIR_LOG_MAX_MB"):
        logfiles.limit_bytes()
