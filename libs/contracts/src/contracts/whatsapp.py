"""What an account of WhatsApp is set to: asked by accounts, obeyed by channel-whatsapp."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.base import Value


class WhatsAppSettings(Value):
    """All of it may be left out: then a QR code is shown, and only what single people write comes in."""

    login: Literal["qr", "pairing"] = Field(
        default="qr", description="Link by scanning a QR code, or by typing a code into the phone"
    )
    phone: Annotated[str, StringConstraints(pattern=r"^\+[1-9]\d{4,14}$")] | None = Field(
        default=None, description="The account's own number in E.164; needed for a pairing code"
    )
    groups: bool = Field(default=False, description="Whether what is written in groups comes in")
    typing_seconds: float = Field(
        default=0, ge=0, le=15, description="The longest “typing…” shown before a message, shorter for a short one"
    )
    sleep_minutes: float | None = Field(
        default=None,
        ge=1,
        le=1440,
        description="After so long with nothing to send the browser is closed, and looks in every so often; none: never",
    )

    @model_validator(mode="after")
    def _phone_for_pairing(self) -> Self:
        if self.login == "pairing" and self.phone is None:
            raise ValueError("a pairing code needs the account's phone number")
        return self
