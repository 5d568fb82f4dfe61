"""Settings of the WhatsApp channel."""

from pathlib import Path

from channelkit.browser.settings import BrowserSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(BrowserSettings):
    """`CHANNEL_WHATSAPP_…` variables. Times in seconds, sizes in bytes unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="CHANNEL_WHATSAPP_", extra="ignore", populate_by_name=True)

    service: str = "channel-whatsapp"
    port: int = Field(default=8005, ge=0, le=65_535, description="Port to listen on")
    max_sessions: int = Field(default=20, ge=1, description="The most accounts, each with its browser, on this replica")
    page_url: str = Field(default="https://web.whatsapp.com/", description="The page; a practice page for tests")
    page_file: Path | None = Field(
        default=None, description="A saved page served in place of the one at page_url: pins WhatsApp's version"
    )
    wajs_file: Path | None = Field(
        default=None, description="The wa-js bundle (wppconnect-wa.js); none: where the set-up puts it"
    )
    load_seconds: float = Field(
        default=60.0, gt=0, description="For the page to say where it is; then a person is asked"
    )
    login_seconds: float = Field(
        default=900.0, gt=0, description="QR codes are shown for so long; then the browser is closed until asked again"
    )
    settle_seconds: float = Field(
        default=90.0,
        gt=0,
        description="After a login the profile is put into the vault so much later: chats load first",
    )
    restart_seconds: float = Field(default=2.0, gt=0, description="First pause before a broken browser starts anew")
    longest_restart_seconds: float = Field(default=300.0, gt=0, description="It doubles up to this")
    refused_wait_seconds: float = Field(
        default=30.0, gt=0, description="Until a message that the page gave back unsent is tried again"
    )
    inbound_limit_bytes: int = Field(default=25_000_000, ge=1_000, description="Larger files are announced as a stub")
    asleep_look_seconds: float = Field(
        default=900.0, gt=0, description="How often an account whose browser is closed for want of work looks in"
    )
