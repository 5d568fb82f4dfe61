"""Which version an edit is based on: If-Match with an ETag of ours, or `version` in the body."""

import re

from servicekit.errors import Invalid, VersionRequired

_ETAG = re.compile(r'\s*(?:W/)?"?([0-9]{1,18})"?\s*')


def version_of(if_match: str | None, version: int | None = None) -> int | None:
    """Return the version an edit is based on, None for `*`; If-Match goes first. Raises VersionRequired, Invalid."""
    if if_match is None and version is None:
        raise VersionRequired("Send If-Match with the ETag, or `version` in the body.")
    if if_match is None:
        return version
    if if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match)
    if found is None:
        raise Invalid({"If-Match": 'must be an ETag of ours, such as "3"'})
    return int(found[1])
