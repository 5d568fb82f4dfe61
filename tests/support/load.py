"""A campaign that is under way while a fault is done to the platform, and the comparison of the books afterwards."""

from dataclasses import dataclass
from typing import Any

from kurir.demo.email import EmailStory
from kurir.demo.rest import wait_for

from tests.support.books import Books, open_books, open_mailbox
from tests.support.live import Live

Json = dict[str, Any]
CONNECTIONS = 4


@dataclass
class Load:
    """A campaign of one account, being sent."""

    kurir: Live
    story: EmailStory
    about: Json
    """The account, as the accounts service tells it: that service may be away later."""
    campaign: str

    @property
    def account(self) -> str:
        """The account's id."""
        return str(self.about["id"])

    async def reconcile(self, *, unknown: int = 0, inbound: int = 0) -> None:
        """Wait for the end and compare all books; at most *unknown* rows of which nobody can know.

        *inbound*: messages that reached the mailbox beside the recipients' replies.
        """
        books = await self.sent(unknown=unknown)
        replies = sum(one.replies and books.arrived[one.address.casefold()] > 0 for one in self.story.people())
        await self._inbox(replies + inbound)

    async def sent(self, *, unknown: int = 0) -> Books:
        """Wait for the end and compare the books of what went out."""
        await self.story.watch(self.campaign)
        books = await open_books(self.kurir, self.campaign)
        states = books.states()
        assert books.troubles() == []
        assert states["unknown"] <= unknown
        assert states["sent"] + states["delivered"] + states["read"] + states["unknown"] == self.story.recipients
        return books

    async def _inbox(self, expected: int) -> None:
        """Wait until what came in is seen; wait no longer than a redelivery takes."""

        async def agrees() -> bool:
            box = await open_mailbox(self.kurir, self.about)
            return not box.troubles() and sum(box.lying.values()) >= expected

        try:
            await wait_for("the inbox to agree", agrees, 60, every=1)
        finally:
            box = await open_mailbox(self.kurir, self.about)
            assert box.troubles() == []
            assert sum(box.lying.values()) == expected


async def begun(kurir: Live, recipients: int, *, per_second: float = 40, seen: int = 30) -> Load:
    """Begin a campaign; return once so many messages have arrived."""
    story = kurir.tell(recipients)
    account = await story.account(pace={"per_second": per_second, "connections": CONNECTIONS})
    campaign = await story.campaign(account, await story.contacts())
    await kurir.until_received(await kurir.received() + seen)
    return Load(kurir, story, await kurir.account(account), campaign)
