"""Settings that do not fit are said in a line each, which names the variable and never shows the value."""

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict
from servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_")
    number: int = 0
    password: SecretStr = Field(default=SecretStr(""), max_length=5)
    places: dict[str, str] = Field(default_factory=dict)


def refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        Settings.from_environment()
    return str(ended.value)


def test_the_line_names_the_variable(monkeypatch):
    words = refused(monkeypatch, "SHOP_NUMBER", "abc")
    assert words.startswith("SHOP_NUMBER: Input should be a valid integer")


def test_a_shared_variable_is_named_as_it_is_set(monkeypatch):
    assert refused(monkeypatch, "KURIR_SHUTDOWN_GRACE_SECONDS", "soon").startswith("KURIR_SHUTDOWN_GRACE_SECONDS: ")


@pytest.mark.parametrize("name", ["SHOP_NUMBER", "SHOP_PASSWORD", "SHOP_PLACES"])
def test_the_value_is_never_shown(monkeypatch, name):
    words = refused(monkeypatch, name, "top-secret")
    assert "top-secret" not in words
    assert "\n" not in words


def test_the_value_is_not_in_the_exception_either(monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "top-secret")
    with pytest.raises(ValueError, match="password") as raised:
        Settings()
    assert "top-secret" not in str(raised.value)
