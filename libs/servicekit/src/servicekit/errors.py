"""Errors that say what to do next. Handlers raise them; the delivery policy and the HTTP problems act on them."""

# ruff: noqa: N818  # the names say what to do: raise Retry(30), raise NotFound(...)

from collections.abc import Mapping, Sequence


class KurirError(Exception):
    """An error with a reason in snake_case for programs and a detail for people."""

    reason = "error"

    def __init__(self, detail: str = "", *, reason: str | None = None) -> None:
        """Keep *detail*, the sentence a person reads, and *reason*, if it is not the class's own."""
        if reason is not None:
            self.reason = reason
        self.detail = detail
        super().__init__(f"{self.reason}: {detail}" if detail else self.reason)


class Permanent(KurirError):
    """Trying again cannot help: the message goes to the dead letters, the request is refused."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail, reason=reason)


class Retry(KurirError):
    """Try again after so many seconds; not counted as a failure of the message."""

    reason = "retry"

    def __init__(self, after_seconds: float, detail: str = "") -> None:
        self.after_seconds = after_seconds
        super().__init__(detail)


class Unavailable(KurirError):
    """NATS or the store is away, or did not answer in time: what was asked may or may not have happened."""

    reason = "unavailable"

    def __init__(self, detail: str = "", *, after_seconds: float = 5.0, reason: str | None = None) -> None:
        self.after_seconds = after_seconds
        super().__init__(detail, reason=reason)


class NotFound(KurirError):
    """What was named does not exist."""

    reason = "not_found"


class Gone(KurirError):
    """It was there and has expired."""

    reason = "gone"


class Conflict(KurirError):
    """Somebody else changed it first, or it exists already."""

    reason = "conflict"


class StaleVersion(Conflict):
    """It was edited since the editor read it; `version` is the present one."""

    reason = "stale_version"

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"Somebody else changed it first: the version is now {version}.")


class VersionRequired(KurirError):
    """An edit that does not say which version it is based on."""

    reason = "version_required"


class Unauthorized(KurirError):
    """No valid token."""

    reason = "unauthorized"


class Forbidden(KurirError):
    """A valid token whose role may not do this."""

    reason = "forbidden"


class Invalid(KurirError):
    """Input that cannot be accepted, field by field (`{"smtp.port": "must be 1 to 65535"}`)."""

    reason = "invalid"

    def __init__(self, fields: Mapping[str, str | Sequence[str]] | None = None, detail: str = "") -> None:
        self.fields = {
            name: [messages] if isinstance(messages, str) else list(messages)
            for name, messages in (fields or {}).items()
        }
        super().__init__(detail or "; ".join(f"{name}: {', '.join(texts)}" for name, texts in self.fields.items()))


class TooLarge(KurirError):
    """More bytes than are taken."""

    reason = "too_large"
