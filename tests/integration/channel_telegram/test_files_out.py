"""Files on their way out, on a bad day."""

import pytest

from tests.integration.channel_telegram.recorder import attempt, send


@pytest.mark.parametrize("error", ["FLOOD_PREMIUM_WAIT_1", "FLOOD_WAIT_1"])
async def test_a_short_wait_between_two_pieces_of_a_file_is_kept_and_nothing_begins_anew(
    telegram, signed_in, to, error
):
    """Accounts without Premium are slowed down so in every large file."""
    session, host = signed_in
    kept = await host.put_media(b"0123456789" * 60_000, "a.pdf", "application/pdf")
    await telegram.client.set_faults(refuse={"error": error, "method": "upload.saveFilePart", "after": 1, "times": 2})
    before = (await telegram.client.calls()).get("upload.saveFilePart", 0)
    await send(session, attempt(to, "berkas", attachments=[kept.model_dump()]))
    pieces = (await telegram.client.calls())["upload.saveFilePart"] - before
    assert pieces == 5 + 2, "of 128 kB each, and the two that were refused"
    [message] = await telegram.client.messages(to=to)
    assert message["text"] == "berkas"
