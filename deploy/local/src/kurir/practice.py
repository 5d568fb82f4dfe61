"""The practice platforms: stand-ins for the outside world that `kurir up --practice` starts beside the services."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.channels import Channel

Place = dict[str, Any]
"""Where a practice platform is reached, as the state file says it; `api`: its own API, which counts what arrived."""


@dataclass(frozen=True)
class Practice:
    """How a practice platform is run, and what its channel's service must know of it."""

    channel: Channel
    module: str
    ports: Mapping[str, int]
    """Kind → usual port; each is given as `--<kind>-port`, `listens` alone as `--port`."""
    flags: Callable[[Path], list[str]]
    """Further arguments; it may keep files in that folder."""
    place: Callable[[Mapping[str, int], Path], Place]
    """What stands in the state file."""
    environment: Callable[[Place], dict[str, str]] = lambda _: {}
    """Settings of the channel's service, so that it reaches this platform and no other."""

    def arguments(self, ports: Mapping[str, int], folder: Path) -> list[str]:
        """Return the arguments of `python`."""
        flags = [("--port" if kind == "listens" else f"--{kind}-port", str(port)) for kind, port in ports.items()]
        return ["-m", self.module, *(word for flag in flags for word in flag), *self.flags(folder)]


def _mail(ports: Mapping[str, int], folder: Path) -> Place:
    return {"smtp_port": ports["smtp"], "imap_port": ports["imap"], "ca_file": str(folder / "cert.pem")}


def _telegram(ports: Mapping[str, int], folder: Path) -> Place:
    return {"mtproto_port": ports["listens"], "key_file": str(folder / "telegram-key.pem")}


def _telegram_settings(place: Place) -> dict[str, str]:
    return {
        "CHANNEL_TELEGRAM_DC": f"127.0.0.1:{place['mtproto_port']}",
        "CHANNEL_TELEGRAM_SERVER_KEY_FILE": place["key_file"],
        "CHANNEL_TELEGRAM_API_ID": "1",
        "CHANNEL_TELEGRAM_API_HASH": "practice",
    }


PLATFORMS = {
    "mail": Practice(
        Channel.EMAIL,
        "practice.mail",
        {"smtp": 2525, "imap": 1143, "api": 8025},
        flags=lambda folder: ["--tls-folder", str(folder), "--reply-delay", "0.2"],
        place=_mail,
    ),
    "telegram": Practice(
        Channel.TELEGRAM,
        "practice.telegram",
        {"listens": 8443, "other": 8444, "api": 8026},
        flags=lambda folder: [
            *("--key-file", str(folder / "telegram-key.pem")),
            *("--state-file", str(folder / "telegram.state")),
        ],
        place=_telegram,
        environment=_telegram_settings,
    ),
    "whatsapp": Practice(
        Channel.WHATSAPP,
        "practice.whatsapp",
        {"listens": 8090, "api": 8027},
        flags=lambda _: ["--reply-seconds", "0.2"],
        place=lambda ports, _: {"page": f"http://127.0.0.1:{ports['listens']}/"},
        environment=lambda place: {"CHANNEL_WHATSAPP_PAGE_URL": place["page"]},
    ),
}


def run_for(channels: Collection[Channel]) -> dict[str, Practice]:
    """Return the practice platforms of these channels."""
    return {name: found for name, found in PLATFORMS.items() if found.channel in channels}


def environment(channel: Channel | None, places: Mapping[str, Place]) -> dict[str, str]:
    """Return what the service of *channel* must know of the practice platforms that run."""
    found: dict[str, str] = {}
    for name, place in places.items():
        if PLATFORMS[name].channel is channel:
            found |= PLATFORMS[name].environment(place)
    return found


def login_urls(places: Mapping[str, Place]) -> dict[str, str]:
    """Return the pages where a person logs in, by channel: those of the practice platforms that have one."""
    return {str(PLATFORMS[name].channel): place["page"] for name, place in places.items() if "page" in place}


def told(place: Place) -> str:
    """Return where a practice platform is reached, for people."""
    further = [f"{name.removesuffix('_port').upper()} {port}" for name, port in place.items() if name.endswith("_port")]
    return f"{place['api']}   ({', '.join(further)})" if further else str(place["api"])
