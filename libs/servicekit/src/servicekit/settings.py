"""Settings every service shares. Shared names come from plain variables, a service's own from its prefix."""

import secrets
import socket
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _instance() -> str:
    host = "".join(c if c.isalnum() or c in "-_" else "-" for c in socket.gethostname())[:40]
    return f"{host}-{secrets.token_hex(4)}"


def _shared(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class ServiceSettings(BaseSettings):
    """Inherit, set `service` and `model_config = SettingsConfigDict(env_prefix="ACCOUNTS_")`, add your own fields.

    Secrets are empty by default and refused where they are used, so a service needs only those it uses.
    """

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    service: str = Field(default="kurir", description="Name in logs, events, metrics and on the NATS connection")
    instance_id: str = Field(default_factory=_instance, validation_alias=_shared("KURIR_INSTANCE_ID"))
    host: str = "0.0.0.0"
    port: int = Field(default=8000, ge=0, le=65_535)
    nats_url: str = Field(default="nats://127.0.0.1:4222", validation_alias=_shared("NATS_URL"))
    mongo_url: str = Field(default="mongodb://127.0.0.1:27017", validation_alias=_shared("MONGO_URL"))
    mongo_db: str = Field(default="kurir", validation_alias=_shared("MONGO_DB"))
    log_level: str = Field(default="INFO", validation_alias=_shared("KURIR_LOG_LEVEL", "LOG_LEVEL"))
    log_format: Literal["json", "console"] = Field(
        default="json", validation_alias=_shared("KURIR_LOG_FORMAT", "LOG_FORMAT")
    )
    sealing_keys: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_shared("KURIR_SEALING_KEYS"),
        description="Fernet keys, comma separated; the first seals, any opens",
    )
    channel_keys: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_shared("KURIR_CHANNEL_KEYS"),
        description="For a channel service instead of sealing_keys: only the keys derived for its channel",
    )
    address_hmac_keys: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_shared("KURIR_ADDRESS_HMAC_KEYS"),
        description="Comma separated; never retired: the first is used, all are known",
    )
    jwt_secret: SecretStr = Field(default=SecretStr(""), validation_alias=_shared("KURIR_JWT_SECRET"))
    jwt_lifetime_seconds: int = Field(default=12 * 3600, validation_alias=_shared("KURIR_JWT_LIFETIME_SECONDS"))
    jwks_url: str | None = Field(default=None, validation_alias=_shared("KURIR_JWKS_URL"))
    jwks_issuer: str | None = Field(default=None, validation_alias=_shared("KURIR_JWKS_ISSUER"))
    jwks_audience: str | None = Field(default=None, validation_alias=_shared("KURIR_JWKS_AUDIENCE"))
    jwks_role_claim: str = Field(default="role", validation_alias=_shared("KURIR_JWKS_ROLE_CLAIM"))
    service_token: SecretStr = Field(default=SecretStr(""), validation_alias=_shared("KURIR_SERVICE_TOKEN"))
    public_url: str = Field(default="", validation_alias=_shared("PUBLIC_URL", "KURIR_PUBLIC_URL"))
    practice: bool = Field(default=False, validation_alias=_shared("KURIR_PRACTICE"))
    otlp_endpoint: str | None = Field(default=None, validation_alias=_shared("OTEL_EXPORTER_OTLP_ENDPOINT"))
    shutdown_grace_seconds: float = Field(default=10.0, validation_alias=_shared("KURIR_SHUTDOWN_GRACE_SECONDS"))


def split(keys: SecretStr | str) -> list[str]:
    """Return the parts of a comma separated setting, without blanks."""
    text = keys.get_secret_value() if isinstance(keys, SecretStr) else keys
    return [part.strip() for part in text.split(",") if part.strip()]
