"""Settings every service shares. Shared names come from plain variables, a service's own from its prefix."""

import secrets
import socket
import sys
from typing import Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError


def _instance() -> str:
    host = "".join(c if c.isalnum() or c in "-_" else "-" for c in socket.gethostname())[:40]
    return f"{host}-{secrets.token_hex(4)}"


def _shared(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class ServiceSettings(BaseSettings):
    """Inherit, set `service` and `model_config = SettingsConfigDict(env_prefix="ACCOUNTS_")`, add your own fields.

    Secrets are empty by default and refused where they are used, so a service needs only those it uses.
    """

    # What does not fit may be a secret: it is never shown.
    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    service: str = Field(default="kurir", description="Name in logs, events, metrics and on the NATS connection")
    instance_id: str = Field(
        default_factory=_instance,
        validation_alias=_shared("KURIR_INSTANCE_ID"),
        description="Names the process in leases and logs; unique among replicas",
    )
    host: str = Field(default="0.0.0.0", description="Address to listen on")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port to listen on")
    nats_url: str = Field(default="nats://127.0.0.1:4222", validation_alias=_shared("NATS_URL"), description="The bus")
    mongo_url: str = Field(
        default="mongodb://127.0.0.1:27017", validation_alias=_shared("MONGO_URL"), description="The store"
    )
    mongo_db: str = Field(default="kurir", validation_alias=_shared("MONGO_DB"), description="Name of the database")
    log_level: str = Field(
        default="INFO",
        validation_alias=_shared("KURIR_LOG_LEVEL", "LOG_LEVEL"),
        description="DEBUG, INFO, WARNING or ERROR",
    )
    log_format: Literal["json", "console"] = Field(
        default="json",
        validation_alias=_shared("KURIR_LOG_FORMAT", "LOG_FORMAT"),
        description="json, or console for people",
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
    jwt_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_shared("KURIR_JWT_SECRET"),
        description="Signs our access tokens; at least 32 characters",
    )
    jwt_lifetime_seconds: int = Field(
        default=12 * 3600,
        validation_alias=_shared("KURIR_JWT_LIFETIME_SECONDS"),
        description="How long a sign-in lasts",
    )
    jwks_url: str | None = Field(
        default=None,
        validation_alias=_shared("KURIR_JWKS_URL"),
        description="Keys of an outside issuer whose tokens are taken as well",
    )
    jwks_issuer: str | None = Field(
        default=None, validation_alias=_shared("KURIR_JWKS_ISSUER"), description="Its tokens must name this issuer"
    )
    jwks_audience: str | None = Field(
        default=None, validation_alias=_shared("KURIR_JWKS_AUDIENCE"), description="and this audience"
    )
    jwks_role_claim: str = Field(
        default="role",
        validation_alias=_shared("KURIR_JWKS_ROLE_CLAIM"),
        description="The claim that holds viewer, operator or admin",
    )
    service_token: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_shared("KURIR_SERVICE_TOKEN"),
        description="A fixed token of role service, for programs that cannot fetch one",
    )
    public_url: str = Field(
        default="",
        validation_alias=_shared("PUBLIC_URL", "KURIR_PUBLIC_URL"),
        description="Where the world reaches campaigns; needed before bulk e-mail",
    )
    practice: bool = Field(
        default=False,
        validation_alias=_shared("KURIR_PRACTICE"),
        description="A rehearsal: own certificates allowed, PUBLIC_URL not needed",
    )
    failpoints: str = Field(
        default="",
        validation_alias=_shared("KURIR_FAILPOINTS"),
        description="For tests, in practice mode only: where the process kills itself, as `lane.after_send=kill@3`",
    )
    shutdown_grace_seconds: float = Field(
        default=10.0, validation_alias=_shared("KURIR_SHUTDOWN_GRACE_SECONDS"), description="How long a stop may take"
    )

    @classmethod
    def from_environment(cls) -> Self:
        """Return this process's settings; where they do not fit, end it with a line for each variable, without its value."""
        try:
            return cls()
        except ValidationError as error:
            sys.exit(
                "\n".join(f"{cls._variable(one['loc'])}: {one['msg']}" for one in error.errors(include_input=False))
            )
        except SettingsError as error:
            sys.exit(str(error))

    @classmethod
    def _variable(cls, place: tuple[int | str, ...]) -> str:
        name = str(place[0]) if place else cls.__name__
        return f"{cls.model_config['env_prefix']}{name.upper()}" if name in cls.model_fields else name


def split(keys: SecretStr | str) -> list[str]:
    """Return the parts of a comma separated setting, without blanks."""
    text = keys.get_secret_value() if isinstance(keys, SecretStr) else keys
    return [part.strip() for part in text.split(",") if part.strip()]
