"""A packed profile: what is in it, and what may come out of one that a stranger made."""

import contextlib
import gzip
import io
import random
import tarfile

import pytest
from channelkit.browser import packing
from channelkit.browser.packing import BadProfile
from servicekit.errors import TooLarge


@pytest.fixture
def profile(tmp_path):
    folder = tmp_path / "profile"
    (folder / "Default/IndexedDB").mkdir(parents=True)
    (folder / "Default/IndexedDB/000003.log").write_bytes(b"login" * 100)
    return folder


def archive(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_what_holds_the_login_comes_back_as_it_was(profile, tmp_path):
    packing.unpack(packing.pack(profile), tmp_path / "other")
    assert (tmp_path / "other/Default/IndexedDB/000003.log").read_bytes() == b"login" * 100
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("cache", ["Default/Cache/Cache_Data/x", "Default/Code Cache/js/x", "GrShaderCache/x"])
def test_caches_stay_behind(profile, tmp_path, cache):
    (profile / cache).parent.mkdir(parents=True)
    (profile / cache).write_bytes(b"x")
    packing.unpack(packing.pack(profile), tmp_path / "other")
    assert files(tmp_path / "other") == ["Default/IndexedDB/000003.log"]


def test_links_stay_behind(profile, tmp_path):
    (profile / "SingletonLock").symlink_to("host-1234")
    packing.unpack(packing.pack(profile), tmp_path / "other")
    assert files(tmp_path / "other") == ["Default/IndexedDB/000003.log"]


@pytest.mark.parametrize(
    "bad",
    [
        archive((member("../outside"), b"x")),
        archive((member("/outside"), b"x")),
        archive((member("a/../../outside"), b"x")),
        archive((member("link", tarfile.SYMTYPE, "/etc/passwd"), b"")),
        archive((member("link", tarfile.SYMTYPE, ".."), b""), (member("link/outside"), b"x")),
        archive((member("twice"), b"x"), (member("twice"), b"y")),
        archive((member("a"), b"x"), (member("a/b"), b"y")),
        archive((member("nul\0name"), b"x"), (member("."), b"y")),
        archive((member("link", tarfile.LNKTYPE, "other"), b"")),
        archive((member("pipe", tarfile.FIFOTYPE), b"")),
        archive((member("device", tarfile.CHRTYPE), b"")),
        archive((member("good"), b"x" * 100_000))[:-20],
        b"no archive at all",
        b"",
    ],
    ids=[  # an archive holds its time: workers that run tests side by side would name it differently
        "above",
        "absolute",
        "up again",
        "link out",
        "through a link",
        "twice",
        "file as folder",
        "nul",
        "hard link",
        "pipe",
        "device",
        "cut",
        "no archive",
        "empty",
    ],
)
def test_a_bad_archive_is_refused_and_leaves_what_was_there(profile, tmp_path, bad):
    with pytest.raises(BadProfile):
        packing.unpack(bad, profile)
    assert files(tmp_path) == ["profile/Default/IndexedDB/000003.log"]


def test_an_archive_damaged_anywhere_is_refused_or_whole(profile, tmp_path):
    (profile / "Default/IndexedDB/000003.log").write_bytes(random.Random(1).randbytes(3_000))
    packed = packing.pack(profile)
    for place in range(0, len(packed), 7):
        damaged = packed[:place] + bytes([packed[place] ^ 0xFF]) + packed[place + 1 :]
        with contextlib.suppress(BadProfile):
            packing.unpack(damaged, tmp_path / "other")
            assert place < 12, "only the header's time and flags may change unseen"


def test_an_archive_that_grows_without_end_is_stopped(profile, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "MAX_BYTES", 1_000)
    with pytest.raises(BadProfile):
        packing.unpack(archive((member("a"), b"x" * 600), (member("b"), b"x" * 600)), profile)
    assert files(tmp_path) == ["profile/Default/IndexedDB/000003.log"]


def test_too_many_files_are_refused_both_ways(profile, tmp_path, monkeypatch):
    (profile / "second").write_bytes(b"")
    packed = packing.pack(profile)
    monkeypatch.setattr(packing, "MAX_FILES", 1)
    with pytest.raises(TooLarge):
        packing.pack(profile)
    with pytest.raises(BadProfile):
        packing.unpack(packed, tmp_path / "other")


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path):
    bomb = tarfile.TarInfo("PaxHeader")
    bomb.type, bomb.size = tarfile.XHDTYPE, 4 << 30
    packed = gzip.compress(bomb.tobuf(tarfile.USTAR_FORMAT) + bytes(1 << 20))
    with pytest.raises(BadProfile, match="header of the archive is too long"):
        packing.unpack(packed, tmp_path / "profile")
