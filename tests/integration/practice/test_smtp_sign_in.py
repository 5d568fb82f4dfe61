"""Signing in by every way the server announces, with a real client library."""

import base64

import aiosmtplib
import pytest
from practice.testing import SmtpWire


def client(platform, tls, **options) -> aiosmtplib.SMTP:
    port = platform.ports.smtps if options.get("use_tls") else platform.ports.smtp
    return aiosmtplib.SMTP(hostname="localhost", port=port, tls_context=tls, timeout=10, **options)


@pytest.mark.parametrize("mode", [{"start_tls": True}, {"use_tls": True}, {"start_tls": False}])
async def test_each_tls_mode_delivers(platform, mail, tls, mode):
    async with client(platform, tls, username="anna", password="secret", **mode) as smtp:
        assert smtp.supports_extension("pipelining")
        assert smtp.supports_extension("8bitmime")
        await smtp.sendmail("anna@practice.test", ["u1@example.test"], b"Message-ID: <a@t>\r\n\r\nhi\r\n")
    (connection,) = (await mail.deliveries())["connections"]
    assert connection["tls"] is (mode != {"start_tls": False})
    assert connection["user"] == "anna@practice.test"
    assert (await mail.counts())["by_sender"] == {"anna@practice.test": 1}


@pytest.mark.parametrize("method", ["auth_login", "auth_plain"])
async def test_each_mechanism_checks_the_password(platform, mail, tls, method):
    await mail.put_account("toko@practice.test", "hunter2")
    async with client(platform, tls, start_tls=True) as smtp:
        await smtp.ehlo()
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await getattr(smtp, method)("toko@practice.test", "secret")
        assert (await getattr(smtp, method)("toko@practice.test", "hunter2")).code == 235


async def test_xoauth2_takes_the_token_of_the_account(platform, mail, tls):
    await mail.put_account("toko@practice.test", "hunter2", token="t0ken")
    async with client(platform, tls, start_tls=True) as smtp:
        await smtp.ehlo()
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await smtp.auth_xoauth2("toko@practice.test", "wrong")
        assert (await smtp.auth_xoauth2("toko@practice.test", "t0ken")).code == 235


async def test_credentials_that_are_not_base64_are_an_error_and_not_the_end(platform, mail):
    async with SmtpWire.open(platform.ports.host, platform.ports.smtp) as wire:
        await wire.ask(b"EHLO client.test\r\n")
        for broken in (b"AUTH PLAIN !!!\r\n", b"AUTH XOAUTH2 !!!\r\n", b"AUTH XOAUTH2 YQ==\r\n"):
            (answer,) = await wire.ask(broken)
            assert answer[0] == "5", answer
        good = base64.b64encode(b"\0anna\0secret")
        (answer,) = await wire.ask(b"AUTH PLAIN " + good + b"\r\n")
        assert answer.startswith("235")
