"""The pages a recipient sees: one button, then a confirmation. In English and Indonesian; nothing is loaded from outside."""

import html

from fastapi.responses import HTMLResponse

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body{{font:18px/1.5 system-ui,sans-serif;max-width:32rem;margin:12vh auto;padding:0 1rem;color:#222}}
button{{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.4rem;background:#1f5fbf;color:#fff;cursor:pointer}}
small{{color:#666}}</style></head><body><h1>{title}</h1>{body}</body></html>"""


def _page(title: str, body: str, status: int = 200, headers: dict[str, str] | None = None) -> HTMLResponse:
    text = _PAGE.format(title=html.escape(title), body=body)
    return HTMLResponse(text, status_code=status, headers={**_HEADERS, **(headers or {})})


def ask(channel: str) -> HTMLResponse:
    """Return the page with the button; opening it changes nothing, since mail scanners open every link."""
    name = html.escape(channel)
    return _page(
        "Unsubscribe / Berhenti berlangganan",
        f"<p>You will get no more messages from us on <b>{name}</b>.<br>"
        f"<small>Anda tidak akan menerima pesan dari kami lagi di <b>{name}</b>.</small></p>"
        '<form method="post"><button type="submit">Unsubscribe / Berhenti</button></form>',
    )


def done(channel: str) -> HTMLResponse:
    """Return the confirmation."""
    name = html.escape(channel)
    return _page(
        "Done / Selesai",
        f"<p>You have been unsubscribed from <b>{name}</b>.<br>"
        f"<small>Anda sudah berhenti berlangganan di <b>{name}</b>.</small></p>",
    )


def unknown() -> HTMLResponse:
    """Return the page for a link that is not ours, or was cut by a mail program."""
    return _page(
        "This link does not work / Tautan ini tidak berlaku",
        "<p>Please open the complete link from the message.<br>"
        "<small>Silakan buka tautan lengkap dari pesan tersebut.</small></p>",
        404,
    )


def later(after_seconds: float) -> HTMLResponse:
    """Return the page for a moment in which nothing can be written down: mail programs then try again."""
    return _page(
        "Please try again / Silakan coba lagi",
        "<p>We could not save this just now. Please try again in a minute.<br>"
        "<small>Belum tersimpan. Silakan coba lagi sebentar lagi.</small></p>",
        503,
        {"Retry-After": str(max(1, round(after_seconds)))},
    )
