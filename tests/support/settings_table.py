"""The settings of every service as one page of Markdown. `python -m tests.support.settings_table FILE` writes it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import accounts.settings
import campaigns.settings
import channel_email.settings
import channel_telegram.settings
import channel_whatsapp.settings
from channelkit.settings import ChannelSettings
from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from servicekit.settings import ServiceSettings

SERVICES: dict[str, type[ServiceSettings]] = {
    "accounts": accounts.settings.Settings,
    "campaigns": campaigns.settings.Settings,
    "channel-email": channel_email.settings.Settings,
    "channel-telegram": channel_telegram.settings.Settings,
    "channel-whatsapp": channel_whatsapp.settings.Settings,
}
_FIXED = {"service"}
_HEAD = """# Settings

Every setting is an environment variable; what is not set has the default. Names say their unit. `make docs` writes this page from the code, and a test compares them.
"""


def page() -> str:
    """Return the page."""
    parts = [_HEAD, "## Every service\n", _table(_shared())]
    parts += ["\n## Every channel service\n", "`<CHANNEL>` is the service's prefix, such as `CHANNEL_EMAIL`.\n"]
    parts.append(_table(_own(ChannelSettings, "<CHANNEL>_", set(ServiceSettings.model_fields))))
    for name, model in SERVICES.items():
        known = set(ServiceSettings.model_fields) | (
            set(ChannelSettings.model_fields) if issubclass(model, ChannelSettings) else set()
        )
        prefix = str(model.model_config["env_prefix"])
        parts += [f"\n## {name}\n", _table(_own(model, prefix, (known - {"port"}) | _FIXED))]
    return "\n".join(parts)


def _shared() -> Iterator[str]:
    for name, field in ServiceSettings.model_fields.items():
        if name not in _FIXED:
            yield _row(name, field, "<SERVICE>_")


def _own(model: type[ServiceSettings], prefix: str, known: set[str]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if name not in known:
            yield _row(name, field, prefix)


def _row(name: str, field: FieldInfo, prefix: str) -> str:
    alias = field.validation_alias
    names = [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [prefix + name.upper()]
    variables = ", ".join(f"`{one}`" for one in names)
    return f"| {variables} | {_default(field)} | {field.description} |"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "made at the start"
    default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return "" if default in ("", None) else f"`{default}`"


def _table(rows: Iterator[str]) -> str:
    return "\n".join(["| variable | default | what |", "|---|---|---|", *rows])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page() + "\n", "utf-8")
