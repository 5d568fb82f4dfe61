"""What a person has to see to log an account in: opened here for one answer, kept nowhere."""

from dataclasses import dataclass, field

from contracts.state import Challenge, SessionState, ShownChallenge
from servicekit.clock import utcnow
from servicekit.errors import Gone, NotFound

from accounts import pictures
from accounts.domain import Account
from accounts.sessions import Sessions
from accounts.vault import CredentialSealer

PNG = "image/png"


@dataclass(frozen=True)
class Asked:
    """What the platform asks, and what lies sealed beside it."""

    state: SessionState
    challenge: Challenge
    shown: ShownChallenge | None


@dataclass(frozen=True)
class Seen:
    """What is shown, in the clear; `repr` shows nothing."""

    kind: str
    data: bytes = field(repr=False)

    @property
    def is_text(self) -> bool:
        """Return whether it is a text: a QR code's, or a code to type."""
        return self.kind != PNG

    def picture(self) -> bytes:
        """Return it as a PNG."""
        if not self.is_text:
            return self.data
        draw = pictures.qr if self.kind == "qr" else pictures.letters
        return draw(self.data.decode())


async def asked(sessions: Sessions, account: Account) -> Asked:
    """Return what is asked of a person now. Raises NotFound where that is nothing, Unavailable."""
    state = await sessions.fetch(account.channel, account.id)
    if state is None or state.challenge is None:
        status = state.status if state else "off"
        raise NotFound(f"Nothing is asked of a person now: the account is {status}.", reason="no_challenge")
    return Asked(state, state.challenge, await sessions.shown(account.channel, account.id))


async def seen(sessions: Sessions, vault: CredentialSealer, account: Account) -> Seen:
    """Return what is shown. Raises NotFound where there is nothing to see, Gone where it has expired, Unavailable."""
    found = await asked(sessions, account)
    shown, now = found.shown, utcnow()
    expires_at = shown.expires_at if shown else found.challenge.expires_at
    if expires_at and expires_at <= now:
        raise Gone(
            "It has expired; where the platform makes a new one, it comes by itself.", reason="challenge_expired"
        )
    if shown is None:
        raise NotFound("There is nothing to look at in this step of the login.", reason="no_picture")
    return Seen(shown.kind, vault.open_shown(account.channel, account.id, shown.sealed))
