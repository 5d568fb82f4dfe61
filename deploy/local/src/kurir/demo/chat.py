"""What the stories of chat channels share: people by phone number, a message without a subject, STOP as an answer."""

from typing import Any, ClassVar

from kurir.demo.people import Person, phone
from kurir.demo.rest import Json
from kurir.demo.story import Story
from kurir.home import Trouble

PACE = {"per_second": None}
"""None: the people are made up, nobody is bothered."""


class ChatStory(Story):
    """A platform of phone numbers: most readers only read, one answers STOP, some are not reached, which is said at once."""

    words: ClassVar[Json] = {"text": "{Hi|Halo} {{ name }}, kopi Gayo sudah datang di {{ city }}."}
    reasons: ClassVar[dict[str, str]]
    """What somebody does that is never reached → the reason its row must give."""

    @property
    def shop(self) -> str:
        """Return the phone number of this story's account."""
        return phone("shop", self.run_number, 0)

    def person(self, number: int, acts: str) -> Person:
        """Return a recipient, whose number says what it does."""
        address = phone(acts, self.run_number, number)
        return Person(f"Pelanggan {number}", address, acts, replies=acts in ("reply", "unsubscribe"), column="phone")

    def expected(self) -> dict[str, int]:
        """Return the counts that are known beforehand."""
        return super().expected() | {"failed": len(self.never)}

    async def answer(self, account: str, challenge: Json, text: str) -> None:
        """Answer a login challenge as a person would."""
        body: dict[str, Any] = {"challenge_id": challenge["id"], "answer": text}
        await self.rest.call("POST", "accounts", f"/v1/accounts/{account}/challenge/answer", json=body)

    async def refused(self, campaign: str) -> None:
        """See that whoever was not reached is `failed` for its own reason; raises Trouble."""
        self.say("looking at those who were not reached")
        rows = self.rest.items("campaigns", "/v1/outbox", campaign=campaign, state="failed", limit=1000)
        found = {row["to"]["address"]: row["reason"] async for row in rows}
        wanted = {p.address: self.reasons[p.acts] for p in self.people() if p.acts in self.never}
        if found != wanted:
            raise Trouble(f"failed should be {wanted}, and is {found}")
