"""An IMAP mailbox, in a thread of its own. The only file that imports imap_tools."""

import contextlib
import imaplib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from contracts.email import Auth, EmailSettings, Security
from imap_tools import BaseMailBox, ImapToolsError, MailBox, MailBoxStartTls, MailBoxUnencrypted

from channel_email.client import plain_port, tls_context
from channel_email.headlines import Headline, headline, imap_date

_JUNK = {"junk", "spam", "bulk", "bulk mail", "junk email", "junk e-mail", "[gmail]/spam"}
_SENT = ("sent", "sent items", "sent mail", "sent messages", "inbox.sent", "terkirim")


class ImapError(Exception):
    """The IMAP server refused, or could not be reached; the text holds its own words."""

    def __init__(self, step: str, words: str, *, login: bool = False) -> None:
        super().__init__(words)
        self.step, self.words, self.login = step, words, login


class Mailbox:
    """A signed-in connection. Every method blocks, at most for the socket's timeout, and raises ImapError."""

    def __init__(self, box: BaseMailBox) -> None:
        self._box = box
        self._client: Any = box.client
        self.selected = ""
        self._can_idle = "IDLE" in _capabilities(box.client)

    @classmethod
    def connect(
        cls,
        account: EmailSettings,
        password: str,
        *,
        practice: bool,
        timeout: float,
        said: Callable[[str, float], None] | None = None,
    ) -> "Mailbox":
        """Connect, encrypt and sign in; *said* hears each step's seconds. Raises ImapError."""
        assert account.imap is not None
        imap, began = account.imap, time.perf_counter()
        step = "connect" if imap.security is Security.NONE else "tls"
        with _translated(step):
            box = _connect(imap.security, imap.host, imap.port, timeout, account, practice=practice)
        if said:
            said(step, time.perf_counter() - began)
        began = time.perf_counter()
        try:
            with _translated("auth", login=True):
                _sign_in(box, imap.auth, account.imap_login, password)
        except ImapError:
            with contextlib.suppress(Exception):
                box.client.shutdown()
            raise
        if said:
            said("auth", time.perf_counter() - began)
        with _translated("auth"):
            return cls(box)

    def folders(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return names and flags."""
        with _translated("folders"):
            return [(one.name, one.flags) for one in self._box.folder.list()]

    def watched(self, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the folders that are there, by their own names, and those that are not.

        A folder for junk is found by its use where it has another name.
        """
        there = self.folders()
        by_name = {name.casefold(): name for name, _ in there}
        found, absent = [], []
        for name in wanted:
            own = by_name.get(name.casefold())
            if own is None and name.casefold() in _JUNK:
                own = _by_use(there, "\\Junk")
            if own is None:
                absent.append(name)
            elif own not in found:
                found.append(own)
        return found, absent

    def sent_folder(self) -> str | None:
        """Return the folder for sent messages, by its use or by its name."""
        there = self.folders()
        by_name = {name.casefold(): name for name, _ in there}
        named = (by_name[name] for name in _SENT if name in by_name)
        return _by_use(there, "\\Sent") or next(named, None)

    def status(self, folder: str) -> tuple[int, int]:
        """Return (UIDVALIDITY, UIDNEXT)."""
        with _translated("status"):
            values = self._box.folder.status(folder, ["UIDVALIDITY", "UIDNEXT"])
            return values["UIDVALIDITY"], values["UIDNEXT"]

    def select(self, folder: str) -> None:
        """Select a folder, read-only: nothing is marked as seen."""
        with _translated("select"):
            self._box.folder.set(folder, readonly=True)
            self.selected = folder

    def uids_after(self, uid: int) -> list[int]:
        """Return the UIDs above *uid*, rising."""
        return [found for found in self._search(f"UID {uid + 1}:*") if found > uid]

    def uids_since(self, day: date) -> list[int]:
        """Return the UIDs that arrived on *day* or later, rising."""
        return self._search(f"SINCE {imap_date(day)}")

    def _search(self, criteria: str) -> list[int]:
        with _translated("search"):
            return sorted(int(uid) for uid in self._box.uids(criteria))

    def headlines(self, uids: Sequence[int]) -> list[Headline]:
        """Return size and arrival of each message that is still there, by rising UID."""
        with _translated("fetch"):
            lines = self._fetch(uids, "(UID RFC822.SIZE INTERNALDATE)")
            found = [headline(line if isinstance(line, bytes) else line[0]) for line in lines]
            return sorted((one for one in found if one and one.uid in uids), key=lambda one: one.uid)

    def contents(self, uids: Sequence[int], section: str = "") -> dict[int, bytes]:
        """Return the messages, byte for byte (section HEADER: only their heads), without marking them as seen."""
        with _translated("fetch"):
            answers = self._fetch(uids, f"(UID BODY.PEEK[{section}])")
            pairs = [answer for answer in answers if isinstance(answer, tuple)]
            found = {}
            for number, (head, raw) in enumerate(pairs):
                uid = re.search(rb"UID (\d+)", head)
                # A server may name the UID after the literal; then the order is all there is.
                found[int(uid[1]) if uid else uids[number]] = raw
            return found

    def _fetch(self, uids: Sequence[int], what: str) -> list[Any]:
        status, data = self._client.uid("FETCH", ",".join(map(str, uids)), what)
        if status != "OK":
            raise ImapError("fetch", _data(data))
        return [one for one in data if one is not None]

    def look_anew(self) -> None:
        """Forget what the server has announced so far: what it announces from here on ends the next `idle` at once."""
        self._client.untagged_responses.pop("EXISTS", None)

    def idle(self, seconds: float, stopped: threading.Event) -> None:
        """Wait until something happens in the selected folder, at most so long; without IDLE just wait.

        New mail may be announced with the answer to any command since `look_anew`, and is not announced twice.
        """
        with _translated("idle"):
            if not self._can_idle:
                stopped.wait(seconds)
                self._client.noop()
                return
            idle: Any = self._box.idle  # its methods have no types
            self._start_idle(idle)
            announced = "EXISTS" in self._client.untagged_responses
            if not stopped.is_set() and not announced and not self._unread():
                idle.poll(timeout=seconds)
            if stopped.is_set():
                return
            idle.stop()

    def _start_idle(self, idle: Any) -> None:
        """Ask for IDLE; the library's own start takes news that comes before the server's consent for a refusal."""
        idle._idle_tag = tag = self._client._command("IDLE")  # noqa: SLF001  # where its `stop` looks for it
        while self._client._get_response() is not None:  # noqa: SLF001
            if (refused := self._client.tagged_commands.get(tag)) is not None:
                raise ImapError("idle", _data(refused[1]))

    def _unread(self) -> bool:
        """Return whether an answer came together with the one just read: polling the socket would not show it."""
        reader = getattr(self._client, "_file", None)
        if reader is None:
            return False
        sock = self._client.sock
        patience = sock.gettimeout()
        sock.settimeout(0)
        try:
            return bool(reader.peek(1))
        except OSError:
            return False
        finally:
            sock.settimeout(patience)

    def append(self, folder: str, raw: bytes) -> None:
        """Add a message that has been seen."""
        with _translated("append"):
            self._box.append(raw, folder, dt=datetime.now(UTC), flag_set=["\\Seen"])

    def interrupt(self) -> None:
        """Wake the thread that waits in this mailbox: its call raises. May be called from any thread."""
        with contextlib.suppress(Exception):
            self._client.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Log out, if the server still listens, and close."""
        with contextlib.suppress(Exception):
            self._client.sock.settimeout(2)
            self._client.logout()
        with contextlib.suppress(Exception):
            self._client.shutdown()


def _connect(
    security: Security, host: str, port: int, timeout: float, account: EmailSettings, *, practice: bool
) -> BaseMailBox:
    if security is Security.NONE:
        return MailBoxUnencrypted(host, port, timeout)
    context = tls_context(account, practice=practice)
    if security is Security.TLS:
        return MailBox(host, port, timeout, ssl_context=context)
    return MailBoxStartTls(host, port, timeout, ssl_context=context)


def _sign_in(box: BaseMailBox, auth: Auth, username: str, password: str) -> None:
    if auth is Auth.XOAUTH2:
        box.xoauth2(username, password, initial_folder=None)
    elif username.isascii() and password.isascii():
        box.login(username, password, initial_folder=None)
    else:
        box.login_utf8(username, password, initial_folder=None)


def _capabilities(client: Any) -> list[str]:
    """Return what the server can do now: before the sign-in it says less, and the library does not ask again."""
    _, data = client.capability()
    return _data(data).upper().split()


def _by_use(there: list[tuple[str, tuple[str, ...]]], flag: str) -> str | None:
    return next((name for name, flags in there if flag.casefold() in map(str.casefold, flags)), None)


@contextlib.contextmanager
def _translated(step: str, *, login: bool = False) -> Iterator[None]:
    try:
        yield
    except ImapError:
        raise
    except ssl.SSLCertVerificationError as error:
        raise ImapError("tls", f"the server's certificate is not trusted: {error.verify_message}") from error
    except imaplib.IMAP4.abort as error:
        raise ImapError(step, str(error) or "the server closed the connection") from error
    except (ImapToolsError, imaplib.IMAP4.error) as error:
        raise ImapError(step, _server_words(error), login=login) from error
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise ImapError(step, plain_port(error) or str(error) or type(error).__name__) from error


def _server_words(error: Exception) -> str:
    """Return what the server said, without the library's words around it."""
    result = getattr(error, "command_result", None)
    return _data(result[1])[:500] if isinstance(result, tuple) and len(result) > 1 else str(error)[:500]


def _data(data: Any) -> str:
    parts = data if isinstance(data, list | tuple) else [data]
    return " ".join(part.decode("utf-8", "replace") for part in parts if isinstance(part, bytes)) or "refused"
