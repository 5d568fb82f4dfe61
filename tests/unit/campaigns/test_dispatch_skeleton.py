"""A command written past its model says what the model says."""

from datetime import UTC, datetime

from campaigns.campaign.content import compile_content
from campaigns.dispatch.batch import Batch
from campaigns.dispatch.commands import message
from campaigns.dispatch.skeleton import Skeleton
from contracts.commands import SendMessage
from hypothesis import given
from hypothesis import strategies as st

BATCH = Batch("c" * 24, "acc_1", "email", 7, 0, 999, datetime(2026, 11, 22, 3, 4, 5, 6_000, UTC), "life")
MEDIA = [{"object": "a" * 64, "filename": "daftar harga.pdf", "content_type": "application/pdf", "size": 3}]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WORDS = st.fixed_dictionaries({
    "subject": st.sampled_from(["Halo {{ name }}", "{{ name }}", None]),
    "text": st.sampled_from(['{Hai|Halo} {{ name }} \u2713 "\\\n', "", "{{ city }}"]),
    "html": st.sampled_from(["<p>{{ name }}</p>", "{{ name }}", None]),
    "bubbles": st.sampled_from([[], ["{{ name }}", "x"], ["{{ name }}"]]),
    "media": st.sampled_from([[], MEDIA]),
})  # fmt: skip
TO = st.fixed_dictionaries(
    {"address": st.sampled_from(["budi@toko.test", "x" * 320]), "name": st.one_of(st.none(), TEXT)}
)
ROWS = st.fixed_dictionaries({
    "_id": st.sampled_from(["r" * 32, "0f" * 16]), "kind": st.just("campaign"), "to": TO,
    "vars": st.dictionaries(st.sampled_from(["name", "city"]), TEXT),
    "number": st.integers(0, 10**6), "wanted": st.integers(0, 3), "tries": st.integers(0, 3),
})  # fmt: skip
LINKS = st.sampled_from([None, "https://toko.test/u/x"])


@given(WORDS, ROWS, LINKS)
def test_the_bytes_are_those_of_the_model(words, row, link):
    compiled = compile_content(words)
    written = Skeleton(BATCH, compiled).fill(row, link)
    made = message(BATCH, row, compiled.render(row["vars"], row["_id"]), link)
    if written is not None:
        assert SendMessage.model_validate_json(written) == made
        assert sorted(written) == sorted(made.model_dump_json(exclude_defaults=True).encode())


def row(**fields):
    """Return a usual row, but for *fields*."""
    usual = {"_id": "r", "kind": "campaign", "to": {"address": "a@b.c", "name": None}, "vars": {"name": "Budi"}}
    return {**usual, "number": 1, "wanted": 0, "tries": 0, **fields}


def test_the_usual_row_is_written_and_an_unusual_one_left_to_the_model():
    skeleton = Skeleton(BATCH, compile_content({"subject": "Hai", "text": "Halo {{ name }}"}))
    assert skeleton.fill(row(), None) is not None
    unusual = [
        row(to={"address": "a" * 321, "name": None}), row(to={"address": "", "name": None}),
        row(to={"address": "a@b.c", "name": "x" * 501}), row(kind="reply"), row(content={"text": "x"}),
        row(thread={"in_reply_to": "<x>"}), row(vars={"name": "x" * 61_441}),
    ]  # fmt: skip
    assert [skeleton.fill(one, None) for one in unusual] == [None] * len(unusual)
