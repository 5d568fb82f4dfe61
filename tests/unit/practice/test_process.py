"""Options of `running()` become the command line that the command understands."""

from practice.mail.__main__ import parse
from practice.processes import arguments


def test_options_arrive_as_settings():
    given = arguments(
        {"smtp_port": 0, "allow_plain_auth": True, "allow_no_auth": False, "reply_delay": 0, "domain": "x.test"}
    )
    settings = parse(given)
    assert (settings.smtp_port, settings.allow_plain_auth, settings.allow_no_auth) == (0, True, False)
    assert (settings.reply_delay_seconds, settings.domain, settings.keep_contents) == (0, "x.test", 5_000)


def test_state_less_counts_without_keeping():
    assert parse(["--state-less"]).keep_contents == 0
