"""Signing in: what a stranger who tries many addresses leaves behind."""

from collections import Counter

import pytest
from accounts.operators.usecases import TooManyAttempts, sign_in
from accounts.settings import Settings
from pydantic import SecretStr
from servicekit.errors import Unauthorized


class Store:
    """Counts attempts by key, and knows nobody."""

    def __init__(self) -> None:
        self.attempts = Counter()

    async def count_attempt(self, key, _window_seconds):
        self.attempts[key] += 1
        return self.attempts[key]

    async def by_email(self, _email):
        return None


async def test_a_client_over_its_limit_leaves_no_further_trace():
    store, settings = Store(), Settings(sign_in_failures_per_client=3, jwt_secret="j" * 40)
    for n in range(50):
        with pytest.raises(Unauthorized if n < 3 else TooManyAttempts):
            await sign_in(store, settings, f"stranger-{n}@kurir.local", SecretStr("guess"), "203.0.113.7")
    assert len(store.attempts) == 1 + 2 * 3


async def test_guesses_of_one_client_do_not_use_up_what_a_person_elsewhere_has():
    store, settings = Store(), Settings(sign_in_failures=2, sign_in_failures_per_email=5, jwt_secret="j" * 40)
    for n in range(20):
        with pytest.raises(Unauthorized if n < 2 else TooManyAttempts):
            await sign_in(store, settings, "ada@kurir.local", SecretStr("guess"), "203.0.113.7")
    with pytest.raises(Unauthorized):
        await sign_in(store, settings, "ada@kurir.local", SecretStr("mistyped"), "198.51.100.9")
