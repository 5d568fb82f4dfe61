"""What leaves: through a real browser to the practice WhatsApp, which counts what arrived."""

from contracts.state import SessionStatus

from tests.integration.channel_whatsapp.conftest import PHONE
from tests.integration.channel_whatsapp.recorder import eventually


async def test_from_the_qr_code_to_a_reply(link, whatsapp, attempt):
    async with link() as (session, host):
        assert host.identity == PHONE
        assert SessionStatus.AWAITING_QR in [status for status, _ in host.reports]
        out = attempt("Halo dari Toko")
        ids = await session.sender().send(out, lambda: None)
        assert out.claims == 1
        arrived = await whatsapp.messages(message_id=ids[0])
        assert [one["text"] for one in arrived] == ["Halo dari Toko"]
        await whatsapp.write(out.command.to.address, PHONE, "Ada stok?")
        await eventually(lambda: host.received("Ada stok?"))
        assert host.received("Ada stok?")[0].conversation == out.command.to.address
