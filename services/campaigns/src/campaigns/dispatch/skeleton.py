"""A command written past its model: the fields a batch shares are validated once, each row's own are filled in.

Whatever is out of the ordinary is left to the model; a property test compares the two.
"""

from typing import Any

import orjson
from contracts.commands import OURS, Content, Recipient, SendMessage

from campaigns.campaign.content import Compiled
from campaigns.dispatch.batch import Batch
from campaigns.outbox.rows import Row

SURELY_SMALL = 60 << 10
"""Characters of words that cannot make more bytes than a message on the bus may hold."""
_NUMBERS = ("number", "wanted", "tries")


class Skeleton:
    """The shared fields of a batch's commands."""

    def __init__(self, batch: Batch, words: Compiled) -> None:
        """Validate them, in a message of nobody."""
        sample = SendMessage(
            id="row", source=OURS, account_id=batch.account, campaign_id=batch.campaign, row="row", batch=batch.id,
            k=batch.k, not_after=batch.not_after, to=Recipient(address="nobody@example.com"),
            content=Content(attachments=list(words.attachments)),
        )  # fmt: skip
        self._shared: dict[str, Any] = sample.model_dump(mode="json", exclude_defaults=True)
        self._attachments: dict[str, Any] = self._shared["content"]
        self._words = words

    def fill(self, row: Row, link: str | None) -> bytes | None:
        """Return a row's command, None where the model has to make it. Raises Permanent("template")."""
        to = _recipient(row["to"])
        if to is None or row["kind"] != "campaign" or row.get("content") is not None or row.get("thread"):
            return None
        said = self._words.fill(row["vars"], row["_id"])
        if len(said["text"]) + len(said["html"] or "") + sum(map(len, said["bubbles"])) > SURELY_SMALL:
            return None
        content = {name: value for name, value in said.items() if value} | self._attachments
        if said["subject"] == "" or said["html"] == "":
            return None
        made = {**self._shared, "id": row["_id"], "row": row["_id"], "to": to, "content": content}
        made.update((name, row[name]) for name in _NUMBERS if row[name])
        if link is not None:
            made["unsubscribe_url"] = link
        return orjson.dumps(made)


def _recipient(to: dict[str, Any]) -> dict[str, str] | None:
    """Return the recipient without what is not said, None for one that the model has to judge."""
    address, name = to.get("address"), to.get("name")
    if type(address) is not str or not 0 < len(address) <= 320:
        return None
    if name is None:
        return {"address": address}
    return {"address": address, "name": name} if type(name) is str and len(name) <= 500 else None
