"""What the vault holds of an account, as its session begins."""

import contextlib

from channelkit.protocol import Host

from channel_telegram.client import login as client
from channel_telegram.client.errors import ConnectionLost, TelegramError
from channel_telegram.link import Gateway
from channel_telegram.vaultform import VaultForm


async def load_form(host: Host, phone: str, gateway: Gateway) -> VaultForm:
    """Return the login to go on with, or an empty one. Raises SealError, Unavailable.

    A person who asked for a new login gets one, unless the old one is still good or still being answered.
    """
    wanted = host.account.login_version
    kept = await host.load_session()
    form = VaultForm.model_validate_json(kept) if kept else None
    if form is None:
        return VaultForm(phone=phone, login_version=wanted)
    if form.phone != phone:
        await _leave(form, gateway)
        return VaultForm(phone=phone, login_version=wanted)
    if form.login_version == wanted:
        return form
    over = form.ended or (form.pending and form.pending.expired) or not (form.user_id or form.pending)
    return VaultForm(phone=phone, login_version=wanted, not_before=form.not_before, asks=0) if over else (
        form.model_copy(update={"login_version": wanted})
    )  # fmt: skip


async def _leave(form: VaultForm, gateway: Gateway) -> None:
    """Log another number's login out, as far as it can be done."""
    if not form.user_id or form.ended:
        return
    with contextlib.suppress(ConnectionLost, TelegramError):
        connection = await gateway.connect(form.place, form.auth_key)
        try:
            await client.log_out(connection)
        finally:
            await connection.close()
