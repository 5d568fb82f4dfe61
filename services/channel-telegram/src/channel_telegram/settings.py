"""Settings of the Telegram channel."""

from pathlib import Path

from channelkit.settings import ChannelSettings
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict
from servicekit.objects import MAX_BYTES


class Settings(ChannelSettings):
    """`CHANNEL_TELEGRAM_…` variables. Times in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="CHANNEL_TELEGRAM_", extra="ignore", populate_by_name=True)

    service: str = "channel-telegram"
    port: int = Field(default=8004, ge=0, le=65_535, description="Port to listen on")
    api_id: int = Field(default=0, ge=0, description="The application's id, from https://my.telegram.org/apps")
    api_hash: SecretStr = Field(default=SecretStr(""), description="The application's hash, from the same page")
    dc: str = Field(default="", description="Address of the server, host:port; none: Telegram's own")
    server_key_file: Path | None = Field(
        default=None, description="PEM file of one more server key to trust; in practice mode only"
    )
    device_name: str = Field(default="Kurir", description="How the login is named in the app, under Devices")
    connect_timeout_seconds: float = Field(default=15.0, gt=0, description="Connecting and agreeing on a key")
    request_timeout_seconds: float = Field(default=20.0, gt=0, description="For the answer to a request")
    connects_at_once: int = Field(default=20, ge=1, description="Accounts that connect at the same time")
    reconnect_seconds: float = Field(
        default=1.0, gt=0, description="First pause before connecting again; doubles to 60"
    )
    peer_flood_wait_seconds: float = Field(
        default=6 * 3600.0, gt=0, description="How long an account rests that Telegram limits for writing to strangers"
    )
    contacts_wait_seconds: float = Field(
        default=3600.0, gt=0, description="How long an account rests when Telegram takes no more contacts"
    )
    inbound_limit_bytes: int = Field(
        default=25_000_000, ge=0, le=MAX_BYTES,
        description="Files larger than this are not fetched; their message says so",
    )  # fmt: skip
    download_timeout_seconds: float = Field(default=300.0, gt=0, description="For one file of a message")
    own_hold_seconds: float | None = Field(
        default=None, gt=0,
        description="How long messages of ours found after a break may wait for the lane to recognise them; none: "
        "twice the send timeout and 15",
    )  # fmt: skip
    read_pause_seconds: float = Field(default=1.0, ge=0, description="Read receipts of a chat are joined for so long")
    peers_kept: int = Field(default=1_000, ge=10, description="People each account keeps in memory")
    media_kept: int = Field(default=32, ge=1, description="Uploaded files each account remembers")

    @field_validator("dc")
    @classmethod
    def _address(cls, text: str) -> str:
        host, colon, port = text.rpartition(":")
        if text and not (colon and host and port.isdigit() and 0 < int(port) < 65_536):
            raise ValueError("must be host:port")
        return text
