"""Credentials are sealed here, with their channel's own key and for their account, before they reach the store."""

import json
from collections.abc import Mapping

from contracts import sealing
from contracts.channels import Channel
from servicekit.secrets import Sealer


class CredentialSealer:
    """Seals what goes to a channel's service; only that service and accounts itself can open it."""

    def __init__(self, sealer: Sealer) -> None:
        """Take the master sealer; each channel's keys are derived from it."""
        self._sealer = sealer

    def seal(self, channel: Channel, account_id: str, credentials: Mapping[str, str]) -> str | None:
        """Return the credentials of an account, sealed; None for none."""
        return self._seal(channel, account_id, json.dumps(dict(credentials))) if credentials else None

    def open(self, channel: Channel, account_id: str, sealed: str | None) -> dict[str, str]:
        """Return an account's credentials in the clear. Raises SealError for other keys or another account's."""
        if sealed is None:
            return {}
        opened: dict[str, str] = json.loads(self._sealer.for_channel(channel).open(sealed, account_id))
        return opened

    def seal_answer(self, channel: Channel, account_id: str, answer: str) -> str:
        """Return a login answer, sealed for the account's session holder."""
        return self._seal(channel, f"answer/{account_id}", answer)

    def seal_test(self, channel: Channel, credentials: Mapping[str, str]) -> str:
        """Return credentials sealed for one test of settings."""
        return self._seal(channel, f"test/{channel}", json.dumps(dict(credentials)))

    def open_shown(self, channel: Channel, account_id: str, sealed: str) -> bytes:
        """Return what a person has to see. Raises SealError for other keys or another account's."""
        return self._sealer.for_channel(channel).open(sealed, sealing.shown(account_id))

    def _seal(self, channel: Channel, context: str, text: str) -> str:
        return self._sealer.for_channel(channel).seal(text.encode(), context)
