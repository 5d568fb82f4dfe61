"""Settings every channel service shares."""

from pydantic import AliasChoices, Field
from servicekit.settings import ServiceSettings


class ChannelSettings(ServiceSettings):
    """Inherit, set `service` and an `env_prefix`, add what is the channel's own. Times are in seconds."""

    max_sessions: int = Field(default=2_000, ge=1, description="The most accounts this replica holds")
    enabled_channels: str = Field(
        default="",
        validation_alias=AliasChoices("KURIR_CHANNELS"),
        description="Comma separated; of the driver's channels only these are served; empty: all",
    )
    send_timeout_seconds: float | None = Field(
        default=None, gt=0, description="The longest a send may take; none: the channel's own"
    )
    heartbeat_ttl_seconds: int = Field(default=15, ge=1, description="A replica silent for so long is taken for dead")
    heartbeat_every_seconds: float = Field(default=5.0, gt=0, description="How often a replica says that it lives")
    lease_look_seconds: float = Field(default=1.5, gt=0, description="How often leases are shared anew")
    probe_seconds: float = Field(
        default=60.0, gt=0, description="How often a session is truly asked for a sign of life"
    )
    probe_timeout_seconds: float = Field(default=30.0, gt=0, description="How long the answer may take")
    report_seconds: float = Field(default=2.0, gt=0, description="States are written at most so often, changes at once")
    behind_seconds: float = Field(default=5.0, gt=0, description="A watch behind for so long stops the lanes")
    sweep_seconds: float = Field(default=30.0, gt=0, description="How often subjects without an account are drained")
    first_backoff_seconds: float = Field(default=1.0, gt=0, description="Pause after the first failed login")
    orphan_days: float = Field(default=7.0, gt=0, description="Sealed sessions nobody points to are kept so long")
