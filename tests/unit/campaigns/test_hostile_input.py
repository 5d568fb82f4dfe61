"""Input made to hang, to break or to slip through: refused in an instant, with its field."""

import io
import time
import zlib

import pytest
from campaigns.campaign.domain import CampaignIn
from campaigns.campaign.missing import Missing
from campaigns.campaign.spinner import spin
from campaigns.campaign.template import Template
from campaigns.contacts.importing import read_table
from campaigns.contacts.importing import store as imports
from campaigns.media.usecases import plain_type
from campaigns.paging import _behind
from pydantic import ValidationError
from servicekit.errors import Invalid, Permanent
from servicekit.pagination import encode_cursor
from servicekit.problems import field_errors
from servicekit.versions import version_of

QUADRATIC = [
    "{{" * 20_000,
    "{%" * 20_000,
    "{{" + " " * 60_000 + "}}",
    "{% if" + " " * 60_000 + "%}",
    "{% raw %}" * 10_000,
    "{% doc %}" * 10_000,
    "<style " * 15_000,
    "<!--" * 25_000,
    "{" * 120_000,
    "{% for i in (1..2000) %}" + "{% if a %}{% endif %}" * 5_000 + "{% endfor %}",
]
NO_ENCODINGS = ["zlib", "bz2", "hex", "uu", "rot13", "punycode", "idna", "undefined", "utf\0", "../x", "a" * 40]
NO_CURSORS = [{"$gt": ""}, ["x", 1], [10**30, "x"], [-1, "x"], [1], 1.5, [{"$gt": 1}, "x"], [None, None], True, "x"]


@pytest.mark.parametrize("source", QUADRATIC)
def test_a_source_that_costs_the_square_of_its_length_is_refused_at_once(source):
    started = time.perf_counter()
    with pytest.raises(Invalid) as refused:
        Template(source, "html", html=True, trial=True)
    assert set(refused.value.fields) == {"html"}
    assert time.perf_counter() - started < 3


def test_a_loop_that_a_recipients_values_switch_on_ends_as_well():
    heavy = "{% for i in (1..2000) %}" + "{% if a %}{% endif %}" * 5_000 + "{% endfor %}"
    template = Template("{% if a %}" + heavy + "{% endif %}", "text", trial=True)
    started = time.perf_counter()
    with pytest.raises(Permanent, match="too long"):
        template.render({"a": "x"}, "row")
    assert time.perf_counter() - started < 3


def test_braces_of_any_depth_stay_the_text_they_are():
    source = "{" * 50_000 + "x" + "}" * 50_000
    assert spin(source).source == source
    assert spin("{a|{b|c}}").counts == (2, 2)


@pytest.mark.parametrize("encoding", NO_ENCODINGS)
def test_only_encodings_of_text_files_are_taken(encoding):
    bomb = io.BytesIO(zlib.compress(b"email\n" + b"\0" * 50_000_000))
    with pytest.raises(Invalid) as refused:
        read_table(bomb, encoding=encoding)
    assert set(refused.value.fields) == {"encoding"}


def test_a_header_of_a_hundred_thousand_columns_is_refused_before_they_are_named():
    started = time.perf_counter()
    with pytest.raises(Invalid, match="columns"):
        read_table(io.BytesIO(b"a," * 100_000 + b"email\n"))
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("value", NO_CURSORS)
def test_a_cursor_that_is_not_ours_is_refused(value):
    for read in (_behind, imports._behind):
        if read is imports._behind and value in ([10**30, "x"], [-1, "x"]):
            continue  # numbers of lines are compared here, and never asked of the store
        with pytest.raises(Invalid) as refused:
            read(encode_cursor(value) if value != [10**30, "x"] else "WzFlMzAsIngiXQ")
        assert set(refused.value.fields) == {"cursor"}


@pytest.mark.parametrize("header", ["²", "9" * 5_000, "-1", "1; drop", "W/", '"'])
def test_a_version_is_at_most_eighteen_plain_digits(header):
    with pytest.raises(Invalid) as refused:
        version_of(header)
    assert set(refused.value.fields) == {"If-Match"}
    assert [version_of(h) for h in ('"7"', "7", 'W/"7"')] == [7, 7, 7]


@pytest.mark.parametrize(
    "schedule",
    [
        {"strat": "2026-01-01T00:00:00Z"},
        {"per_day": 10**30},
        {"start": "9999-12-31T23:59:59-14:00"},
        {"hours": {"start": "08:00", "end": "17:00", "time_zone": "Asia"}},
        {"hours": {"start": "08:00", "end": "17:00", "time_zone": "../../../etc/passwd"}},
        {"hours": {"start": "08:00", "end": "17:00", "time_zone": "a" * 5_000}},
        {"hours": {"start": "08:00", "end": "17:00", "days": [], "$gt": ""}},
    ],
)
def test_a_schedule_names_what_is_wrong_with_it(schedule):
    with pytest.raises(ValidationError) as refused:
        CampaignIn.model_validate({"name": "x", "channel": "email", "schedule": schedule})
    assert {e["loc"][0] for e in refused.value.errors()} == {"schedule"}


@pytest.mark.parametrize("clock", ["8:30", "24:00", "08:60", "08:30\n", "٠٨:٣٠", ""])
def test_a_clock_is_refused_in_words(clock):
    hours = {"start": clock, "end": "17:00"}
    with pytest.raises(ValidationError) as refused:
        CampaignIn.model_validate({"name": "x", "channel": "email", "schedule": {"hours": hours}})
    assert field_errors(refused.value) == [{"field": "schedule.hours.start", "message": "must be HH:MM, such as 08:30"}]


def test_a_variable_nobody_has_is_told_from_one_that_some_lack():
    missing = Missing()
    missing.note("a@example.com", {"name": "A", "city": "Medan"}, ["nmae", "zzz"])
    missing.note("b@example.com", {"name": "B"}, ["nmae", "zzz", "city"])
    missing.failed("c@example.com", "text: takes too long")
    default = 'give a default, such as {{ city | default: "…" }}, or add ?allow_missing=true'
    assert missing.advice() == ["nobody has nmae: did you mean name?", "nobody has zzz", default]
    assert missing.lines[2] == "c@example.com: text: takes too long"
    assert Missing().advice() == []


@pytest.mark.parametrize("claimed", ["text/html\r\nX: y", "text/html\n", "täxt/html", "a/b/c", "", "text/" + "a" * 200])
def test_what_a_stranger_calls_a_type_never_ends_a_header(claimed):
    assert plain_type(claimed) == "application/octet-stream"
