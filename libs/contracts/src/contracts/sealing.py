"""The context that each sealed text names, so that whoever opens it asks for the same; one moved elsewhere fails."""


def shown(account_id: str) -> str:
    """Return the context of what a person has to see (`ShownChallenge.sealed`)."""
    return f"shown/{account_id}"


def imported(account_id: str, import_id: str) -> str:
    """Return the context of a session that a person uploaded (`ImportedSession.object`)."""
    return f"import/{account_id}/{import_id}"
