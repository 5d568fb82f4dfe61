"""One bad account of twenty: seconds from Process to received of the others, with and without it, in turn."""

import statistics

from kurir.demo.email import EmailStory
from kurir.demo.rest import wait_for

from tests.bench.measure import Figure, platform_on, stores
from tests.support import many
from tests.support.live import Live

ACCOUNTS = 20
RECIPIENTS = 800
PER_SECOND = 5
ROUNDS = 3
"""Each without and with a bad account, which is another one each time: the others are never those that were bad."""
MOST_SLOWER = 1.2


async def measure() -> list[Figure]:
    """Return the 95th percentile of the others with the bad account; its baseline is that without."""
    async with platform_on(stores()[0]) as kurir:
        story = kurir.tell(RECIPIENTS)
        accounts = await many.connect(kurir, story, ACCOUNTS, PER_SECOND)
        contacts = await story.contacts()
        alone, beside = [], []
        for bad in range(ROUNDS):
            alone.append(await _campaign(kurir, story, accounts, contacts))
            await kurir.mail.set_faults(accept_and_hang={"sender": many.address(bad)})
            beside.append(await _campaign(kurir, story, accounts, contacts))
            await kurir.mail.clear_faults()
    without, with_it = statistics.median(alone), statistics.median(beside)
    ratio = with_it / without
    name = f"one bad account of {ACCOUNTS}: p95 of the others, Process to received"
    met = ratio <= MOST_SLOWER
    return [Figure(name, with_it, "s", without, ratio, "<= 1.2 x without it", met=met, store=stores()[0])]


async def _campaign(kurir: Live, story: EmailStory, accounts: list[str], contacts: str) -> float:
    """Process a campaign of all accounts; return the 95th percentile of those that are never bad, in seconds."""
    campaign, pressed = await many.process(story, accounts, contacts)
    others = set(accounts[ROUNDS:])
    await wait_for("the others", lambda: _ended(story, campaign, others), 120, every=1)
    found = await many.arrivals(kurir, pressed)
    seconds = [s for n in range(ROUNDS, ACCOUNTS) for s in found.get(many.address(n), [])]
    await story.rest.call("POST", "campaigns", f"/v1/campaigns/{campaign}/cancel")
    return statistics.quantiles(seconds, n=20)[-1]


async def _ended(story: EmailStory, campaign: str, accounts: set[str]) -> bool:
    """Return whether nothing waits any more; the few who bounced or unsubscribed before get no further message."""
    rows = await many.rows_of(story, campaign)
    waiting = {"pending", "queued"} & {state for account in accounts for state in rows.get(account, ())}
    return sum(map(len, rows.values())) > RECIPIENTS - 10 and not waiting
