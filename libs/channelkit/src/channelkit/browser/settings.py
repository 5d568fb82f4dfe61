"""What channels that drive a browser add to their settings."""

import os
from pathlib import Path

from pydantic import Field

from channelkit.settings import ChannelSettings


def _data_folder() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "kurir-profiles"


class BrowserSettings(ChannelSettings):
    """Inherit instead of ChannelSettings. Times in seconds, memory in MB (10^6 bytes, PSS)."""

    browser: str = Field(
        default="", description="The browser's program; empty: chromium-headless-shell, else chromium, from the PATH"
    )
    browser_sandbox: bool | None = Field(default=None, description="Chromium's sandbox; none: on unless run by root")
    profiles: Path = Field(
        default_factory=_data_folder, description="Folder of the accounts' profiles: a volume that outlives the process"
    )
    starts_at_once: int = Field(default=2, ge=1, description="Browsers that may be starting at the same time")
    start_timeout_seconds: float = Field(default=30.0, gt=0, description="For a browser to start")
    close_timeout_seconds: float = Field(default=5.0, gt=0, description="For a graceful close; then it is killed")
    beat_every_seconds: float = Field(
        default=10.0, gt=0, description="How often a page is truly asked whether it lives"
    )
    beat_timeout_seconds: float = Field(default=10.0, gt=0, description="How long its answer may take")
    page_limit_mb: float = Field(
        default=700.0, gt=0, description="A browser grown past this is loaded anew, between messages"
    )
