"""The OpenAPI documents of the services people and programs call. `python -m tests.support.openapi DIR` writes them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accounts.main
import accounts.settings
import campaigns.main
import campaigns.settings
from fastapi import FastAPI
from servicekit.secrets import generate_key

_KEYS = {
    "sealing_keys": generate_key(), "address_hmac_keys": "of-a-document", "jwt_secret": "of-a-document-that-runs-nothing",
}  # fmt: skip
APPS: dict[str, Callable[[], FastAPI]] = {
    "accounts": lambda: accounts.main.build(accounts.settings.Settings.model_validate(_KEYS)),
    "campaigns": lambda: campaigns.main.build(campaigns.settings.Settings.model_validate(_KEYS)),
}


def document(service: str) -> dict[str, Any]:
    """Return a service's document; nothing is started for it."""
    return APPS[service]().openapi()


def write(folder: Path) -> None:
    """Write every document as `<service>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for service in APPS:
        text = json.dumps(document(service), indent=1, ensure_ascii=False, sort_keys=True)
        (folder / f"{service}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
