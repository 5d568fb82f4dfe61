"""One account whose server takes the message and never answers: the other nineteen do not wait for it."""

from kurir.demo.rest import wait_for

from tests.support import many

ACCOUNTS = 20
RECIPIENTS = 400


async def test_the_others_finish_while_one_server_never_answers(kurir):
    story = kurir.tell(RECIPIENTS)
    accounts = await many.connect(kurir, story, ACCOUNTS, per_second=10)
    contacts = await story.contacts()
    await kurir.mail.set_faults(accept_and_hang={"sender": many.address(0)})
    campaign, pressed = await many.process(story, accounts, contacts)
    bad, *others = accounts

    async def others_are_done():
        rows = await many.rows_of(story, campaign)
        return sum(map(len, rows.values())) == RECIPIENTS and all(set(rows[a]) == {"sent"} for a in others)

    await wait_for("the other nineteen", others_are_done, 40)
    rows = await many.rows_of(story, campaign)
    assert len(rows[bad]) > 5
    assert "sent" not in rows[bad]
    assert many.address(0) not in await many.arrivals(kurir, pressed)
    await kurir.mail.clear_faults()
