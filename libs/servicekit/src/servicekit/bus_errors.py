"""What nats-py raises, in our words; and what is true of its JetStream answers."""

from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
from nats.js import errors as js_errors

from servicekit.errors import Permanent, Unavailable

STREAM_FULL = 10_077
WRONG_LAST_SEQUENCE = (10_071, 10_164)


def is_wrong_last(error: BaseException) -> bool:
    """Return whether a compare-and-set lost: somebody else wrote first."""
    return isinstance(error, js_errors.APIError) and error.err_code in WRONG_LAST_SEQUENCE


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise our errors for nats-py's; *what* names the subject or bucket. APIErrors that are not ours to know pass."""
    try:
        yield
    except nats.errors.MaxPayloadError as error:
        raise Permanent("too_large", f"{what}: larger than the server's payload limit") from error
    except nats.errors.NoRespondersError as error:
        raise Unavailable(f"nobody answers on {what}", reason="no_responder") from error
    except js_errors.NoStreamResponseError as error:
        raise Unavailable(f"no stream takes {what}: apply the topology") from error
    except js_errors.ServiceUnavailableError as error:
        full = error.err_code == STREAM_FULL or "maximum" in (error.description or "")
        raise Unavailable(f"{what}: {error.description or error}", reason="full" if full else "unavailable") from error
    except js_errors.APIError as error:
        if error.err_code == STREAM_FULL or "maximum messages per subject" in (error.description or ""):
            raise Unavailable(f"{what}: {error.description}", reason="full") from error
        raise
    except TimeoutError as error:
        raise Unavailable(f"{what}: no answer in time") from error
    except (nats.errors.Error, OSError) as error:
        raise Unavailable(f"{what}: {error or type(error).__name__}") from error
