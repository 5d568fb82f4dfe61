"""The one table of contracts: subject, model, who sends, who receives. AsyncAPI documents are made from it."""

from dataclasses import dataclass
from typing import Literal

from contracts import commands, events, inbox, requests, state
from contracts.base import Value

CHANNEL = "channel"
"""Stands for whichever service holds the channel's sessions."""
OUTSIDE = "outside"
"""Stands for any program with access to the bus."""

_OUTCOME_READERS = ("campaigns", OUTSIDE)


@dataclass(frozen=True)
class Contract:
    """One kind of message or stored value; placeholders stand in braces."""

    address: str
    model: type[Value]
    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    transport: Literal["jetstream", "core", "kv"] = "jetstream"
    reply: type[Value] | None = None

    @property
    def example(self) -> str:
        """Return the name of the example file."""
        return f"{self.model.__name__}.json"

    @property
    def pattern(self) -> str:
        """Return the address as a NATS pattern; a bucket's key is `$KV.<bucket>.<key>`."""
        tokens = ["*" if "{" in token else token for token in self.address.split(".")]
        if self.address.endswith("{key>}"):
            tokens[-1] = ">"
        return ".".join(tokens)


def _inbox(what: str, model: type[Value], receivers: tuple[str, ...] = _OUTCOME_READERS) -> Contract:
    return Contract(f"inbox.{{channel}}.{{account_id}}.{what}.v1", model, (CHANNEL,), receivers)


def _kv(kind: str, key: str, model: type[Value], senders: tuple[str, ...], receivers: tuple[str, ...]) -> Contract:
    return Contract(f"$KV.{kind}.{key}", model, senders, receivers, transport="kv")


CONTRACTS: tuple[Contract, ...] = (
    Contract("cmd.{channel}.{account_id}.send.now.v1", commands.SendMessage, ("campaigns", OUTSIDE), (CHANNEL,)),
    Contract("cmd.{channel}.{account_id}.send.bulk.v1", commands.SendMessage, ("campaigns", OUTSIDE), (CHANNEL,)),
    _inbox("sent", inbox.Sent),
    _inbox("delivered", inbox.Delivered),
    _inbox("read", inbox.Read),
    Contract("inbox.{channel}.{account_id}.failed.v1", inbox.Failed, (CHANNEL, "campaigns"), _OUTCOME_READERS),
    _inbox("unknown", inbox.Unknown),
    Contract("inbox.{channel}.{account_id}.cancelled.v1", inbox.Cancelled, (CHANNEL, "campaigns"), _OUTCOME_READERS),
    _inbox("bounced", inbox.Bounced),
    _inbox("received", inbox.Received),
    _inbox("edited", inbox.Edited),
    _inbox("deleted", inbox.Deleted),
    Contract("evt.{channel}.{account_id}.session.v1", events.SessionChanged, (CHANNEL,), ("accounts", OUTSIDE)),
    Contract("evt.{channel}.{account_id}.log.v1", events.LogLine, (CHANNEL,), ("accounts", OUTSIDE)),
    Contract("evt.accounts.account.changed.v1", events.AccountChanged, ("accounts",), (OUTSIDE,)),
    Contract("evt.accounts.account.deleting.v1", events.AccountDeleting, ("accounts",), ("campaigns", OUTSIDE)),
    Contract("evt.accounts.account.deleted.v1", events.AccountDeleted, ("accounts",), (OUTSIDE,)),
    Contract("evt.campaigns.campaign.finished.v1", events.CampaignFinished, ("campaigns",), (OUTSIDE,)),
    Contract("evt.campaigns.contact.tagged.v1", events.ContactTagged, ("campaigns",), (OUTSIDE,)),
    Contract("evt.campaigns.contact.unsubscribed.v1", events.ContactUnsubscribed, ("campaigns",), (OUTSIDE,)),
    Contract(
        "req.{channel}.{account_id}.answer.v1", requests.AnswerLogin, ("accounts",), (CHANNEL,), "core", requests.Reply
    ),
    Contract(
        "req.{channel}.{account_id}.check.v1",
        requests.CheckRecipient,
        ("campaigns",),
        (CHANNEL,),
        "core",
        requests.Reply,
    ),
    Contract("req.{channel}.any.test.v1", requests.TestSettings, ("accounts",), (CHANNEL,), "core", requests.Reply),
    Contract("hint.{service}.changed.v1", events.Changed, ("accounts", "campaigns"), ("accounts", "campaigns"), "core"),
    _kv("accounts_{channel}", "{account_id}", state.DesiredAccount, ("accounts",), (CHANNEL, "campaigns")),
    _kv("accounts_{channel}", "_all", state.WorkerSwitch, ("accounts",), (CHANNEL, "campaigns")),
    _kv("sessions_{channel}", "{account_id}", state.SessionState, (CHANNEL,), ("accounts", "campaigns")),
    _kv("sessions_{channel}", "{account_id}.shown", state.ShownChallenge, (CHANNEL,), ("accounts",)),
    _kv("members_{channel}", "{replica}", state.Heartbeat, (CHANNEL,), (CHANNEL,)),
    _kv("leases_{channel}", "{account_id}", state.Lease, (CHANNEL,), (CHANNEL,)),
    _kv("ledger_{channel}", "{key>}", state.LedgerEntry, (CHANNEL, "campaigns"), (CHANNEL, "campaigns")),
    _kv("lanes_{channel}", "{account_id}", state.LaneState, (CHANNEL,), (CHANNEL,)),
    _kv("cursors_{channel}", "{account_id}", state.CursorState, (CHANNEL,), (CHANNEL,)),
    _kv("cursors_{channel}", "{account_id}.vault", state.VaultPointer, (CHANNEL,), (CHANNEL,)),
    _kv("cursors_{channel}", "{account_id}.memo.{key>}", state.Memo, (CHANNEL,), (CHANNEL,)),
    _kv("suppressions", "{key>}", state.SuppressionEntry, ("campaigns",), (CHANNEL,)),
    _kv("marks", "{channel}", state.StoreMark, ("campaigns",), ("campaigns",)),
)
