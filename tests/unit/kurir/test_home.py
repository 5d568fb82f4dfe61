"""The data folder: its owner's alone, its secrets kept, an older one upgraded."""

import json
import stat

import pytest
from kurir.home import Home, Trouble


def keys_of(folder):
    return json.loads((folder / "keys.json").read_text())


def test_an_older_folder_gets_a_password_for_its_store_and_keeps_all_else(tmp_path):
    Home(tmp_path / "k").open()
    older = {name: value for name, value in keys_of(tmp_path / "k").items() if name != "store_password"}
    (tmp_path / "k/keys.json").write_text(json.dumps(older))
    opened = Home(tmp_path / "k").open()
    assert {**older, "store_password": opened.store_password} == keys_of(tmp_path / "k")
    assert len(opened.store_password) >= 24
    assert Home(tmp_path / "k").open() == opened


@pytest.mark.parametrize("lost", ["sealing", "address_hmac", "jwt"])
def test_a_folder_without_one_of_its_keys_is_refused_and_not_given_another(tmp_path, lost):
    Home(tmp_path / "k").open()
    damaged = {name: value for name, value in keys_of(tmp_path / "k").items() if name != lost}
    (tmp_path / "k/keys.json").write_text(json.dumps(damaged))
    with pytest.raises(Trouble, match="damaged"):
        Home(tmp_path / "k").open()
    assert keys_of(tmp_path / "k") == damaged


def test_a_folder_that_all_could_read_becomes_its_owners_alone(tmp_path):
    (tmp_path / "k").mkdir(mode=0o755)
    Home(tmp_path / "k").open()
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "k/keys.json").stat().st_mode) == 0o600
