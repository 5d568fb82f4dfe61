"""The faults are done to a whole platform, as in the end-to-end tests."""

from tests.e2e.conftest import kurir

__all__ = ["kurir"]
