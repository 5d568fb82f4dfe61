"""Settings of the accounts service: `ACCOUNTS_…`, and the shared names of servicekit."""

from functools import cached_property

from contracts.channels import Channel, known_channels
from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict
from servicekit.settings import ServiceSettings, split


class Settings(ServiceSettings):
    """What an operator may change. Durations carry their unit in the name."""

    model_config = SettingsConfigDict(env_prefix="ACCOUNTS_", extra="ignore", populate_by_name=True)

    service: str = "accounts"
    port: int = Field(default=8001, ge=0, le=65_535, description="Port to listen on")
    channels: str = Field(
        default="email",
        validation_alias=AliasChoices("KURIR_CHANNELS", "ACCOUNTS_CHANNELS"),
        description="Comma separated channels this deployment is subscribed to",
    )
    admin_email: str = Field(
        default="", validation_alias=AliasChoices("KURIR_ADMIN_EMAIL"), description="Address of the first administrator"
    )
    admin_password: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("KURIR_ADMIN_PASSWORD"),
        description="Password of the first administrator; used only while there is no administrator",
    )
    projection_seconds: float = Field(default=10.0, gt=0, description="Between two looks at what is behind")
    reprojection_seconds: float = Field(default=600.0, gt=0, description="Between two comparisons of everything")
    deletion_grace_seconds: float = Field(default=30.0, description="How long a channel may take to begin deleting")
    deletion_seconds: float = Field(default=5.0, gt=0, description="Between two looks at accounts being deleted")
    log_days: int = Field(default=30, ge=1, description="How long log lines are kept")
    proof_seconds: float = Field(default=180.0, description="A session that answered longer ago is not called ready")
    answer_timeout_seconds: float = Field(default=10.0, description="How long a login answer may take")
    test_timeout_seconds: float = Field(default=45.0, description="How long a test of settings may take")
    sign_in_window_seconds: int = Field(default=900, ge=1, description="Failed sign-ins count for so long")
    sign_in_failures: int = Field(default=10, ge=1, description="Failed sign-ins per e-mail and client address")
    sign_in_failures_per_client: int = Field(default=100, ge=1, description="Failed sign-ins per client address")
    sign_in_failures_per_email: int = Field(default=200, ge=1, description="Failed sign-ins per e-mail address")
    token_max_days: int = Field(default=366, ge=1, description="Longest life of a service token")

    import_max_bytes: int = Field(
        default=64 << 20, ge=1, le=64 << 20, description="The largest session that may be imported, packed"
    )
    import_chunk_bytes: int = Field(
        default=512 << 10, ge=1_024, le=1 << 20, description="An imported session is uploaded in pieces of this size"
    )
    imports_open: int = Field(default=20, ge=1, description="Half uploads of sessions at a time, of all accounts")
    import_days: float = Field(default=1.0, gt=0, description="A half upload is forgotten after so long")
    login_urls: dict[str, str] = Field(
        default_factory=dict, description="Pages where people log in, by channel (JSON), instead of the platforms' own"
    )

    @field_validator("channels")
    @classmethod
    def _known(cls, value: str) -> str:
        known_channels(split(value))
        return value

    @cached_property
    def enabled(self) -> tuple[Channel, ...]:
        """Return the subscribed channels in the product's order."""
        return known_channels(split(self.channels))
