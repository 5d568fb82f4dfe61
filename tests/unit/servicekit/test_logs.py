"""Logs are one JSON object per line, and hold no secret."""

import json
import logging

import pytest
from pydantic import BaseModel, SecretStr
from servicekit import logs
from servicekit.settings import ServiceSettings
from servicekit.tracing import continued


class Credentials(BaseModel):
    username: str
    password: SecretStr


@pytest.fixture(autouse=True)
def _configured(capsys):
    before = logging.root.handlers, logging.root.level
    logs.configure(ServiceSettings(service="unit", log_format="json"))
    yield
    logging.root.handlers, logging.root.level = before


def _lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_record_is_one_json_line_with_the_services_name(capsys):
    logs.get_logger().info("account saved\nreally", account="acc_1")
    logging.getLogger("vendor").warning("plain %s", "text")
    ours, theirs = _lines(capsys)
    assert (ours["event"], ours["account"], ours["service"], ours["level"]) == (
        "account saved\nreally",
        "acc_1",
        "unit",
        "info",
    )
    assert (theirs["event"], theirs["logger"], theirs["service"]) == ("plain text", "vendor", "unit")


def test_secrets_are_redacted_by_type_by_name_and_in_urls(capsys):
    logs.get_logger().info(
        "connecting",
        thing=SecretStr("hidden1"),
        password="hidden2",
        nested={"smtp": {"Password": "hidden3", "host": "mx"}, "list": [SecretStr("hidden4")]},
        model=Credentials(username="ada", password=SecretStr("hidden5")),
        qr_text="hidden6",
        url="nats://kurir:hidden7@127.0.0.1:4222",
        authorization="Bearer hidden8",
    )
    text = capsys.readouterr().out
    assert "hidden" not in text
    assert "ada" in text
    assert "127.0.0.1:4222" in text


def test_a_traceback_is_one_line_and_its_urls_are_clean(capsys):
    try:
        raise ValueError("cannot reach mongodb://u:hidden@host/")  # noqa: TRY301
    except ValueError:
        logs.get_logger().exception("failed")
    (line,) = _lines(capsys)
    assert "ValueError" in line["exception"]
    assert "hidden" not in json.dumps(line)


def test_standard_logging_is_redacted_too(capsys):
    logging.getLogger("vendor").error("connect to %s", "smtp://me:hidden@mx")
    assert "hidden" not in capsys.readouterr().out


def test_lines_inside_a_trace_name_it(capsys):
    with continued({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}):
        logs.get_logger().info("inside")
    (line,) = _lines(capsys)
    assert line["trace_id"] == "a" * 32
