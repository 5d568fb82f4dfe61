"""The variables each service is started with."""

import json
import os
from dataclasses import dataclass, field

from contracts.channels import Channel
from servicekit.secrets import derive_keys

from kurir import practice as rehearsal
from kurir.home import Home, Keys
from kurir.practice import Place
from kurir.services import SERVICES, VARIABLE


@dataclass
class Endpoints:
    """Where the parts of a running platform listen."""

    nats_url: str = ""
    mongo_url: str = ""
    services: dict[str, int] = field(default_factory=dict)
    channels: tuple[Channel, ...] = ()
    """What the deployment is subscribed to."""
    practice: dict[str, Place] = field(default_factory=dict)
    """The practice platforms that run."""


def service_environment(name: str, home: Home, keys: Keys, endpoints: Endpoints, *, practice: bool) -> dict[str, str]:
    """Return the environment of one service; what the operator set already stays."""
    prefix = name.upper().replace("-", "_")
    port = endpoints.services[name]
    env = {
        "NATS_URL": endpoints.nats_url,
        **_secrets(name, keys, endpoints),
        VARIABLE: ",".join(endpoints.channels),
        "KURIR_PRACTICE": "true" if practice else "false",
        f"{prefix}_HOST": "127.0.0.1",
        f"{prefix}_PORT": str(port),
        f"{prefix}_DATA_DIR": str(home.media),
        f"{prefix}_PROFILES": str(home.folder / "profiles"),
        "KURIR_INSTANCE_ID": home.instance(name),
        **({f"{prefix}_PROFILES": str(home.profiles)} if SERVICES[name].browsers else {}),
        **rehearsal.environment(SERVICES[name].channel, endpoints.practice),
    }
    if (
        practice
    ):  # the practice recipients reach the unsubscribe page here; outside practice a person names a public address
        env["PUBLIC_URL"] = f"http://127.0.0.1:{endpoints.services.get('campaigns', port)}"
    settable = {"KURIR_ADMIN_EMAIL", "KURIR_ADMIN_PASSWORD", "PUBLIC_URL"}
    return {k: os.environ.get(k, v) if k in settable else v for k, v in env.items()}


def _login_urls(endpoints: Endpoints) -> dict[str, str]:
    """Return what `kurir login` opens in place of the platforms' own pages; as the operator says, else in practice."""
    found = rehearsal.login_urls(endpoints.practice)
    return {"ACCOUNTS_LOGIN_URLS": json.dumps(found)} if found and "ACCOUNTS_LOGIN_URLS" not in os.environ else {}


def _secrets(name: str, keys: Keys, endpoints: Endpoints) -> dict[str, str]:
    """Return what the service needs and no more: a channel opens its own accounts' passwords, and signs no token."""
    if name == "accounts":
        return {
            "MONGO_URL": endpoints.mongo_url,
            "KURIR_SEALING_KEYS": keys.sealing,
            "KURIR_JWT_SECRET": keys.jwt,
            "KURIR_ADMIN_EMAIL": keys.admin_email,
            "KURIR_ADMIN_PASSWORD": keys.admin_password,
            **_login_urls(endpoints),
        }
    if name == "campaigns":
        return {
            "MONGO_URL": endpoints.mongo_url,
            "KURIR_JWT_SECRET": keys.jwt,
            "KURIR_ADDRESS_HMAC_KEYS": keys.address_hmac,
        }
    channel = name.removeprefix("channel-")
    return {
        "KURIR_CHANNEL_KEYS": ",".join(derive_keys(keys.sealing, channel)),
        "KURIR_ADDRESS_HMAC_KEYS": keys.address_hmac,
    }
