"""Who may sign in: one registry for SMTP and IMAP."""

import hmac
from dataclasses import dataclass, field

AUTO_PASSWORD = "secret"


@dataclass(slots=True)
class Account:
    """A mailbox owner; `token` is what XOAUTH2 presents instead of the password."""

    address: str
    password: str = AUTO_PASSWORD
    token: str | None = None


@dataclass(slots=True)
class Accounts:
    """The accounts by full, lower-case address."""

    domain: str
    auto: bool = True
    known: dict[str, Account] = field(default_factory=dict)

    def address(self, login: str) -> str:
        """Return the full address of a login given whole or as its local part."""
        login = login.strip().lower()
        return login if "@" in login else f"{login}@{self.domain}"

    def put(self, login: str, password: str, token: str | None = None) -> Account:
        """Create the account, or replace its password and token."""
        account = Account(self.address(login), password, token)
        self.known[account.address] = account
        return account

    def lookup(self, login: str) -> Account | None:
        """Return the account of a login, or the one that the right password would create."""
        address = self.address(login)
        return self.known.get(address) or (Account(address) if self.auto else None)

    def keep(self, account: Account | None) -> bool:
        """Make sure that an account found by `lookup` exists from now on."""
        if account is not None:
            self.known.setdefault(account.address, account)
        return account is not None

    def check_password(self, login: str, password: str) -> Account | None:
        """Return the account that these credentials open, or None."""
        account = self.lookup(login)
        if account is None or not hmac.compare_digest(account.password.encode(), password.encode()):
            return None
        self.keep(account)
        return account

    def check_token(self, login: str, token: str) -> Account | None:
        """Return the account that this OAuth token opens, or None."""
        account = self.known.get(self.address(login))
        if account and account.token and hmac.compare_digest(account.token.encode(), token.encode()):
            return account
        return None
