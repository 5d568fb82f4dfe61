"""Settings of the campaigns service: `CAMPAIGNS_…`, and the shared names of servicekit."""

from contracts.channels import MESSAGING, Channel, known_channels
from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import SettingsConfigDict
from servicekit.settings import ServiceSettings, split


class Settings(ServiceSettings):
    """What an operator may change. Durations carry their unit in the name."""

    model_config = SettingsConfigDict(env_prefix="CAMPAIGNS_", extra="ignore", populate_by_name=True)

    service: str = "campaigns"
    port: int = Field(default=8002, ge=0, le=65_535, description="Port to listen on")
    channels: str = Field(
        default="email",
        validation_alias=AliasChoices("KURIR_CHANNELS", "CAMPAIGNS_CHANNELS"),
        description="Comma separated channels this deployment is subscribed to",
    )
    idempotent_channels: str = Field(
        default="telegram", description="Channels that recognise a repeated message: sent again after a lost bus"
    )

    default_region: str = Field(default="ID", description="Region of phone numbers written without a country code")
    stop_words: str = Field(default="STOP,BERHENTI", description="A chat reply of one of these unsubscribes")
    media_max_bytes: int = Field(default=25 << 20, description="Largest attachment")
    import_max_bytes: int = Field(default=200 << 20, description="Largest contact file")

    window_seconds: float = Field(default=300.0, description="How much of an account's pace is dispatched ahead")
    not_after_seconds: float = Field(default=43_200.0, description="Longest life of a batch: 12 hours")
    send_timeout_seconds: float = Field(default=60.0, description="How long after not_after a send may still end")
    dispatch_lease_seconds: float = Field(default=15.0, description="How long a dead dispatcher holds a campaign")
    dispatch_idle_seconds: float = Field(default=1.0, description="How long a dispatcher rests when nothing is due")
    sweep_every_seconds: float = Field(default=60.0, description="Between two looks at batches past their not_after")
    ledger_keep_seconds: float = Field(default=3_600.0, description="How long past not_after a batch's ledger is kept")
    inbox_keep_days: float = Field(default=7.0, description="How long acknowledged events stay in INBOX")
    count_every_seconds: float = Field(default=0.5, description="Between two counts of what changed in the outbox")

    @field_validator("channels")
    @classmethod
    def _known(cls, value: str) -> str:
        known_channels(split(value))
        return value

    @property
    def enabled(self) -> tuple[Channel, ...]:
        """Return the subscribed channels that messages are sent on, in the product's order."""
        return tuple(one for one in known_channels(split(self.channels)) if one in MESSAGING)
