"""Templates: bounded, escaped, strict about names; the spinner chosen by the row."""

import time

import pytest
from campaigns.campaign.content import compile_content
from campaigns.campaign.spinner import spin
from campaigns.campaign.template import Template, noting
from hypothesis import given
from hypothesis import strategies as st
from servicekit.errors import Invalid, Permanent

NEVER_ENDING = [
    "{% for i in (1..100000000) %}x{% endfor %}",
    "{% for i in (1..99999999) reversed %}{{ i }}{% endfor %}",
    "{% assign r = (1..999999999) %}{{ r | join: ',' }}",
    "{{ (1..999999999) | size }}",
    "{% for i in (1..1999) %}{% for j in (1..1999) %}{{ i }}{% endfor %}{% endfor %}",
    "{% assign a = 'xxxxxxxx' %}{% for i in (1..60) %}{% assign a = a | append: a %}{% endfor %}{{ a }}",
    "{{ 'aaaaaaaaaaaaaaaaaaaaaaaa'" + " | replace: 'a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'" * 12 + " }}",
    "{% tablerow i in (1..100000000) %}x{% endtablerow %}",
]


@pytest.mark.parametrize("source", NEVER_ENDING)
def test_a_template_that_never_ends_is_refused_when_saved(source: str):
    started = time.perf_counter()
    with pytest.raises(Invalid) as refused:
        Template(source, "text", trial=True)
    assert set(refused.value.fields) == {"text"}
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "source", ["{% if %}", "{{ name | nofilter }}", "{% include 'x' %}", "{% render 'x' %}", "x" * 200_000]
)
def test_what_cannot_be_compiled_names_its_field(source: str):
    with pytest.raises(Invalid) as refused:
        Template(source, "html", html=True, trial=True)
    assert set(refused.value.fields) == {"html"}


def test_values_are_escaped_in_html_and_only_there():
    name = {"name": "<b>&"}
    assert Template("{{ name }}", "html", html=True).render(name, "r") == "&lt;b&gt;&amp;"
    assert Template("{{ name }}", "text").render(name, "r") == "<b>&"
    with pytest.raises(Invalid):
        Template("{{ name | safe }}", "html", html=True, trial=True)


def test_an_unknown_name_is_noted_unless_it_has_a_default():
    template = Template("{{ a }} {{ b | default: 'x' }} {% if c %}{{ c }}{% endif %} {{ d | upcase }}", "text")
    with noting() as missing:
        assert template.render({}, "r").split() == ["x"]
    assert list(missing) == ["a", "d"]


def test_a_subject_is_one_line():
    words = compile_content({"subject": "Hi {{ name }}", "text": "x"})
    assert words.render({"name": "A\r\nBcc: b@example.com"}, "r").subject == "Hi A Bcc: b@example.com"


def test_every_wrong_field_is_named_at_once():
    with pytest.raises(Invalid) as refused:
        compile_content({"subject": "{% if %}", "text": "ok", "html": "{% for %}", "bubbles": ["ok", "{{ | }}"]})
    assert set(refused.value.fields) == {"subject", "html", "bubbles.1"}


def test_the_spinner_chooses_by_the_row_and_always_the_same():
    template = Template("{Hi|Hello|Halo} {{ name }}, {a|b {c|d}}", "text")
    texts = {row: template.render({"name": "N"}, row) for row in map(str, range(300))}
    assert {text.split(" ", maxsplit=1)[0] for text in texts.values()} == {"Hi", "Hello", "Halo"}
    assert {text.split(", ")[1] for text in texts.values()} == {"a", "b c", "b d"}
    assert all(template.render({"name": "N"}, row) == text for row, text in texts.items())


def test_a_spinner_in_somebodys_name_is_only_their_name():
    assert Template("{{ name }}", "text").render({"name": "{a|b} {{ x }}"}, "r") == "{a|b} {{ x }}"


def test_style_sheets_are_not_spun():
    source = "<style>a{color:red|blue}</style>{x|x}"
    assert Template(source, "html", html=True).render({}, "r") == "<style>a{color:red|blue}</style>x"


@given(st.text(alphabet="{}|% ab\n", max_size=60))
def test_braces_of_any_kind_never_break_the_spinner(source: str):
    spun = spin(source)
    if "|" not in source:
        assert spun.source == source
    assert all(count >= 2 for count in spun.counts)
    assert spun.choices("r", "text") == spun.choices("r", "text")


def test_a_value_a_filter_refuses_is_this_rows_failure():
    with pytest.raises(Permanent) as refused:
        Template("{{ n | divided_by: m }}", "text").render({"n": 1, "m": 0}, "r")
    assert refused.value.reason == "template"
