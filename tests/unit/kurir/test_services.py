"""Which services and practice platforms run for which channels, and what each service is told."""

import pytest
from contracts.channels import Channel
from kurir import practice, services
from kurir.environment import Endpoints, service_environment
from kurir.home import Home, Keys, Trouble


@pytest.fixture
def subscribed_to(monkeypatch):
    return lambda value: monkeypatch.setenv(services.VARIABLE, value)


def test_without_a_word_every_channel_whose_service_exists_runs(monkeypatch):
    monkeypatch.delenv(services.VARIABLE, raising=False)
    assert services.subscribed() == services.DEFAULT_CHANNELS
    assert list(services.run_for(services.subscribed())) == list(services.SERVICES)


def test_a_service_whose_channel_is_not_subscribed_to_is_not_run(subscribed_to):
    subscribed_to("whatsapp, shopee")
    channels = services.subscribed()
    assert channels == (Channel.WHATSAPP, Channel.SHOPEE)
    assert {"accounts", "campaigns"} <= set(services.run_for(channels)) <= {"accounts", "campaigns", "channel-whatsapp"}


def test_a_channel_that_is_none_is_refused_in_words(subscribed_to):
    subscribed_to("email,pigeon")
    with pytest.raises(Trouble, match=r"KURIR_CHANNELS: there is no pigeon; there is: email"):
        services.subscribed()


def test_each_service_hears_the_channels_the_deployment_runs(tmp_path):
    endpoints = Endpoints(channels=(Channel.EMAIL, Channel.TELEGRAM), services=dict.fromkeys(services.SERVICES, 1))
    for name in services.SERVICES:
        given = service_environment(name, Home(tmp_path), Keys.fresh(), endpoints, practice=False)
        assert given["KURIR_CHANNELS"] == "email,telegram"


def test_browsers_keep_their_profiles_in_the_data_folder(tmp_path):
    endpoints, home = Endpoints(services=dict.fromkeys(services.SERVICES, 1)), Home(tmp_path)
    given = service_environment("channel-whatsapp", home, Keys.fresh(), endpoints, practice=False)
    assert given["CHANNEL_WHATSAPP_PROFILES"] == str(tmp_path / "profiles")


def test_in_practice_people_log_in_at_the_practice_page(tmp_path, monkeypatch):
    monkeypatch.delenv("ACCOUNTS_LOGIN_URLS", raising=False)
    endpoints = Endpoints(services=dict.fromkeys(services.SERVICES, 1))
    real = service_environment("accounts", Home(tmp_path), Keys.fresh(), endpoints, practice=False)
    assert "ACCOUNTS_LOGIN_URLS" not in real
    endpoints.practice["whatsapp"] = {"api": "http://127.0.0.1:1", "page": "http://127.0.0.1:2/"}
    given = service_environment("accounts", Home(tmp_path), Keys.fresh(), endpoints, practice=True)
    assert given["ACCOUNTS_LOGIN_URLS"] == '{"whatsapp": "http://127.0.0.1:2/"}'


@pytest.mark.parametrize("name", practice.PLATFORMS)
def test_a_practice_platform_is_reached_where_its_ports_are(name, tmp_path):
    platform = practice.PLATFORMS[name]
    ports = {kind: 9_000 + number for number, kind in enumerate(platform.ports)}
    arguments = platform.arguments(ports, tmp_path)
    assert arguments[:2] == ["-m", platform.module]
    assert set(map(str, ports.values())) <= set(arguments)
    place = {"api": "http://127.0.0.1:1"} | platform.place(ports, tmp_path)
    given = practice.environment(platform.channel, {name: place})
    assert all(variable.startswith(f"CHANNEL_{platform.channel.name}_") for variable in given)
    assert practice.environment(None, {name: place}) == {}
