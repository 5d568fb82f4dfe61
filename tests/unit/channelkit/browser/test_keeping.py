"""Which copy of a profile may go on: every case of the rule, without a browser."""

import shutil

import pytest
from channelkit.browser import packing
from channelkit.browser.keeping import KeptProfile, ProfileElsewhere
from channelkit.browser.profile import ProfileBusy, ProfileFolder
from channelkit.browser.record import KEY, Record
from servicekit.errors import Unavailable


class Host:
    """What the account remembers, wherever its replicas run."""

    def __init__(self) -> None:
        self.facts, self.vault, self.imported, self.away = {}, None, None, False
        self.refused = ""

    async def remember(self, key, value):
        if self.away is not True:
            self.facts[key] = value
        if self.away:
            raise Unavailable("NATS is away")

    async def recall(self, key):
        return self.facts.get(key)

    async def save_session(self, data):
        if self.away:
            raise Unavailable("NATS is away")
        self.vault, self.imported = data, None

    async def load_session(self):
        return self.vault

    async def imported_session(self):
        return self.imported

    async def refuse_import(self, why):
        self.imported, self.refused = None, why


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def here(host, tmp_path):
    return lambda: KeptProfile(host, ProfileFolder(tmp_path / "here", "acc"))


@pytest.fixture
def elsewhere(host, tmp_path):
    return lambda: KeptProfile(host, ProfileFolder(tmp_path / "elsewhere", "acc"))


def write(kept, text):
    (kept.folder.profile / "storage").write_text(text)


def read(kept):
    return (kept.folder.profile / "storage").read_text()


async def log_in(kept, text="first"):
    await kept.take()
    write(kept, text)
    await kept.logged_in()


async def close(kept):
    await kept.closed()
    kept.release()


async def test_a_closed_profile_goes_on_anywhere(here, elsewhere):
    await log_in(one := here())
    await close(one)
    await (other := elsewhere()).take()
    assert (read(other), other.unclean, other.login) == ("first", False, True)


async def test_a_profile_in_use_goes_on_nowhere_else(here, elsewhere):
    await log_in(one := here())
    await close(one)
    await crash(here(), "newer")
    with pytest.raises(ProfileElsewhere, match="another volume"):
        await elsewhere().take()


async def crash(kept, text):
    await kept.take()
    write(kept, text)
    await crash_of(kept)


async def crash_of(kept):
    kept.release()  # what the kernel does with a dead process's lock


async def test_after_a_crash_the_same_volume_goes_on_and_knows_that_it_was_one(here):
    await log_in(one := here())
    await close(one)
    await crash(here(), "newer")
    await (again := here()).take()
    assert (read(again), again.unclean) == ("newer", True)


async def test_an_old_copy_is_replaced_by_what_the_vault_holds(here, elsewhere):
    await log_in(one := here())
    await close(one)
    await (two := elsewhere()).take()
    write(two, "second")
    await close(two)
    await (again := here()).take()
    assert (read(again), again.unclean) == ("second", False)


async def test_a_profile_nobody_logged_in_with_is_not_kept(here, elsewhere, host):
    await (one := here()).take()
    await close(one)
    assert host.vault is None
    await (two := elsewhere()).take()
    assert not two.login


async def test_a_login_that_could_not_be_written_down_is_written_down_the_next_time(here, elsewhere, host):
    await (one := here()).take()
    host.away = True
    with pytest.raises(Unavailable):
        await one.logged_in()
    host.away = False
    await one.logged_in()
    with pytest.raises(ProfileElsewhere):
        await elsewhere().take()


async def test_a_vault_that_cannot_be_reached_leaves_the_profile_with_its_volume(here, elsewhere, host):
    await log_in(one := here())
    host.away = True
    with pytest.raises(Unavailable):
        await one.closed()
    one.release()
    host.away = False
    with pytest.raises(ProfileElsewhere):
        await elsewhere().take()
    await (again := here()).take()
    assert (read(again), again.unclean) == ("first", False)


async def test_after_a_log_out_everybody_begins_anew(here, elsewhere):
    await log_in(one := here())
    await close(one)
    await (two := elsewhere()).take()
    await two.forget()
    two.release()
    assert not two.folder.folder.exists()
    await (again := here()).take()
    assert not again.login
    assert list(again.folder.profile.iterdir()) == []


async def test_a_record_from_a_backup_does_not_beat_a_newer_copy(here, host):
    await log_in(one := here())
    await close(one)
    facts, vault = dict(host.facts), host.vault
    await (two := here()).take()
    write(two, "newer")
    await close(two)
    host.facts, host.vault = facts, vault
    await (again := here()).take()
    assert read(again) == "newer"


@pytest.mark.parametrize("closed", [True, False])
async def test_a_volume_that_came_back_from_a_backup_is_an_old_copy(here, host, tmp_path, closed):
    await log_in(one := here())
    await one.closed()
    await one.reopen()
    shutil.copytree(tmp_path / "here", tmp_path / "backup")
    await close(one)
    await (two := here()).take()
    write(two, "newer")
    await (close if closed else crash_of)(two)
    shutil.rmtree(tmp_path / "here")
    shutil.copytree(tmp_path / "backup", tmp_path / "here")
    if closed:
        await (again := here()).take()
        assert read(again) == "newer"
    else:
        with pytest.raises(ProfileElsewhere):
            await here().take()


async def test_openings_that_failed_make_no_old_copy_look_new(here, elsewhere, host):
    await log_in(one := here())
    await close(one)
    host.away = True
    for _ in range(5):
        with pytest.raises(Unavailable):
            await here().take()
    host.away = False
    await (other := elsewhere()).take()
    write(other, "second")
    await close(other)
    await (again := here()).take()
    assert read(again) == "second"


async def test_a_record_written_although_the_answer_was_lost_keeps_the_profile_here(here, elsewhere, host):
    await log_in(one := here())
    await close(one)
    host.away = "but it writes"
    with pytest.raises(Unavailable):
        await here().take()
    host.away = False
    with pytest.raises(ProfileElsewhere):
        await elsewhere().take()
    await (again := here()).take()
    assert (read(again), again.unclean) == ("first", False)


async def test_waiting_for_a_login_makes_no_copy_look_new(here, elsewhere):
    await (first := elsewhere()).take()
    first.release()
    for _ in range(5):
        await (waiting := here()).take()
        waiting.release()
    await log_in(one := elsewhere())
    with pytest.raises(ProfileElsewhere):
        await here().take()
    await close(one)
    await (again := here()).take()
    assert read(again) == "first"


async def test_an_imported_session_comes_before_every_copy(here, elsewhere, host):
    await log_in(one := here())
    await crash_of(one)
    await (other := elsewhere()).take(anew=True)
    write(other, "imported")
    host.imported = packing.pack(other.folder.profile)
    other.release()
    await (again := elsewhere()).take()
    assert (read(again), again.login, host.imported) == ("imported", True, None)
    with pytest.raises(ProfileElsewhere):
        await here().take()


async def test_what_is_imported_and_is_no_profile_leaves_the_login_as_it_was_and_is_said(here, host):
    await log_in(one := here())
    await close(one)
    host.imported = b"not a profile at all"
    await (again := here()).take()
    assert (read(again), again.login, again.unclean) == ("first", True, False)
    assert (host.imported, bool(host.refused)) == (None, True)


async def test_a_person_may_give_up_what_lies_on_a_lost_volume(here, elsewhere):
    await log_in(one := here())
    await crash_of(one)
    await (other := elsewhere()).take(anew=True)
    assert not other.login
    assert list(other.folder.profile.iterdir()) == []
    other.release()
    await (later := here()).take()
    assert not later.login, "the volume came back, but was given up"
    later.release()
    await log_in(elsewhere(), "second")
    with pytest.raises(ProfileElsewhere):
        await here().take()


async def test_a_bus_that_lost_its_records_takes_what_is_there(here, host):
    await log_in(one := here())
    await close(one)
    host.facts.clear()
    await (again := here()).take()
    assert read(again) == "first"


async def test_a_record_nobody_can_read_asks_a_person(here, host):
    host.facts[KEY] = b"{"
    with pytest.raises(ProfileElsewhere):
        await here().take()


async def test_a_record_whose_vault_is_empty_asks_a_person(here, elsewhere, host):
    await log_in(one := here())
    await close(one)
    host.vault = None
    with pytest.raises(ProfileElsewhere, match="no copy"):
        await elsewhere().take()


async def test_a_second_holder_is_told_who_has_it(here):
    await (first := here()).take()
    with pytest.raises(ProfileBusy, match="in use by process"):
        await here().take()
    first.release()


async def test_the_folder_is_for_its_owner_only(here):
    await (kept := here()).take()
    assert kept.folder.folder.stat().st_mode & 0o777 == 0o700
    assert kept.folder.profile.stat().st_mode & 0o777 == 0o700


async def test_each_opening_has_a_generation_of_its_own(here, host):
    await log_in(one := here())
    await one.closed()
    await one.reopen()
    assert Record.model_validate_json(host.facts[KEY]).generation == 2
    assert packing.pack(one.folder.profile)
