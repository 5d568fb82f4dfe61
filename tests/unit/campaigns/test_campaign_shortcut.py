"""Templates that are joined from pieces give what liquid gives; the rest is left to liquid."""

import pytest
from campaigns.campaign.template import Template, noting
from hypothesis import example, given, reject
from hypothesis import strategies as st
from servicekit.errors import Invalid

NAMES = st.sampled_from(["name", "city", "now", "größe", "a"])
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAIN = WORDS.map(lambda text: text.replace("{", "").replace("%", "").replace("|", ""))
QUOTED = PLAIN.map(lambda text: text.replace('"', "").replace("\\", ""))
OUTPUTS = st.one_of(
    NAMES.map("{{{{ {} }}}}".format),
    NAMES.map("{{{{- {} -}}}}".format),
    st.tuples(NAMES, QUOTED).map(lambda pair: f'{{{{ {pair[0]} | default: "{pair[1]}" }}}}'),
    NAMES.map("{{{{ {} | upcase }}}}".format),
    NAMES.map("{{% if {0} %}}{0}{{% endif %}}".format),
    NAMES.map("{{% case _spin_0 %}}{{% when 1 %}}{}{{% endcase %}}".format),
)
PIECES = st.recursive(
    st.one_of(PLAIN, OUTPUTS),
    lambda inner: st.lists(st.lists(inner, max_size=2).map("".join), min_size=1, max_size=3).map(
        lambda options: "{" + "|".join(options) + "}"
    ),
    max_leaves=6,
)
VARIABLES = st.dictionaries(NAMES, st.one_of(WORDS, st.sampled_from(["<b>&\"'", "", 3, None])), max_size=4)


@example(source="a\r\nb\r{{ name }}\n", variables={"name": "\r\n\rx\r"}, row="1", html=False)
@example(source="\r{{ name | default: '\r\n' }}{\r|\n}\n", variables={}, row="1", html=True)
@given(st.lists(PIECES, max_size=6).map("".join), VARIABLES, st.text("0123456789abcdef", max_size=4), st.booleans())
def test_pieces_and_liquid_agree_on_text_and_on_what_is_missing(source, variables, row, html):
    try:
        template = Template(source, "text", html=html)
    except Invalid:
        reject()
    with noting() as noted:
        text = template.render(variables, row)
    with noting() as noted_by_liquid:
        wanted = template.render_liquid(variables, template._spun.choices(row, "text"))
    if "now" not in source:  # liquid's own clock
        assert text == wanted
    assert noted == noted_by_liquid


@pytest.mark.parametrize(
    ("source", "straight"),
    [
        ("{Hi|Halo} {{ name }}, {{ city | default: 'Bandung' }}", True),
        ("{{ name | upcase }}", False),
        ("{% if name %}x{% endif %}", False),
        ("{{ now }}", False),
        ("{{ a.b }}", False),
        ("{% case _spin_0 %}{% when 7 %}x{% endcase %}", False),
    ],
)
def test_what_is_joined_without_liquid(source: str, straight: bool):
    assert (Template(source, "text")._pieces is not None) == straight


def test_a_value_that_is_no_text_or_empty_or_very_long_is_left_to_liquid(monkeypatch):
    template = Template("{{ name }}", "text")
    monkeypatch.setattr(template, "render_liquid", lambda *_: "asked")
    assert template.render({"name": "Budi"}, "r") == "Budi"
    assert {template.render({"name": value}, "r") for value in (3, "", "x" * 70_000)} == {"asked"}
    assert template.render({}, "r") == "asked"
