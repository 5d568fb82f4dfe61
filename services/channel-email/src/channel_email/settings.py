"""Settings of the e-mail channel."""

from channelkit.settings import ChannelSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(ChannelSettings):
    """`CHANNEL_EMAIL_…` variables. Times in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="CHANNEL_EMAIL_", extra="ignore", populate_by_name=True)

    service: str = "channel-email"
    port: int = Field(default=8003, ge=0, le=65_535, description="Port to listen on")
    connect_timeout_seconds: float = Field(default=20.0, gt=0, description="Connecting, TLS and AUTH together")
    command_timeout_seconds: float = Field(default=30.0, gt=0, description="For the answer to an envelope")
    idle_close_seconds: float = Field(default=30.0, gt=0, description="An SMTP connection unused for so long is closed")
    retry_waits_seconds: list[float] = Field(
        default=[60, 300, 900, 3600], min_length=1, description="After a recipient's 4xx, by try"
    )
    offline_wait_seconds: float = Field(default=5.0, gt=0, description="First pause when the server is unreachable")
    throttle_wait_seconds: float = Field(default=30.0, gt=0, description="First pause when the account is throttled")
    longest_wait_seconds: float = Field(default=900.0, gt=0, description="Both double up to this")
    attachment_cache_bytes: int = Field(default=64_000_000, ge=0, description="Encoded attachments kept in memory")
    poll_seconds: float = Field(default=60.0, gt=0, description="How often folders are looked at, with IDLE or without")
    imap_timeout_seconds: float = Field(default=30.0, gt=0, description="Of the socket")
    imap_backoff_seconds: float = Field(
        default=2.0, gt=0, description="First pause before reconnecting; doubles to 300"
    )
    inbound_limit_bytes: int = Field(default=25_000_000, ge=1_000, description="Larger mail is announced as a stub")
