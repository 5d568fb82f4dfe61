"""Every message has an example that loads, a published schema it does not break, and a true AsyncAPI document."""

import copy
import json
from pathlib import Path
from typing import get_args

import pytest
from contracts import asyncapi, compatibility, ids, subjects
from contracts.base import Message
from contracts.commands import SendMessage
from contracts.examples import example, models
from contracts.registry import CONTRACTS
from pydantic import ValidationError

ROOT = Path(__file__).parents[2]
FILES = ROOT / "libs/contracts/src/contracts/example_files"


@pytest.mark.parametrize("model", models(), ids=lambda m: m.__name__)
def test_an_example_loads_and_says_nothing_the_model_does_not_know(model):
    shown = example(model)
    loaded = model.model_validate(shown)
    again = json.loads(loaded.model_dump_json())
    assert set(shown) <= set(again)
    assert model.model_validate(again) == loaded


def test_every_example_file_belongs_to_a_message():
    assert {f.stem for f in FILES.glob("*.json")} == {m.__name__ for m in models()}


def test_names_are_unique():
    names = [m.ce_type() for m in models() if issubclass(m, Message)]
    assert len(names) == len(set(names))


def test_nothing_breaks_a_published_schema():
    assert compatibility.unpublished() == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s["properties"].pop("not_after"), "not_after: removed"),
        (lambda s: s["required"].append("campaign_id"), "campaign_id: newly required"),
        (lambda s: s["properties"]["number"].update(type="string"), "number: integer became string"),
        (lambda s: s["properties"]["kind"]["enum"].remove("test"), "kind: no longer allows 'test'"),
        (
            lambda s: s["$defs"]["Recipient"]["properties"]["address"].update(maxLength=10),
            "to.address: maxLength 320 became 10",
        ),
        (lambda s: s["properties"]["k"].update(minimum=5), "k: minimum 1 became 5"),
    ],
)
def test_a_breaking_change_is_told(change, says):
    old = SendMessage.model_json_schema()
    new = copy.deepcopy(old)
    change(new)
    assert says in compatibility.breaking(old, new)


def test_an_optional_field_more_breaks_nothing():
    old = SendMessage.model_json_schema()
    new = copy.deepcopy(old)
    new["properties"]["mood"] = {"type": "string"}
    assert compatibility.breaking(old, new) == []


@pytest.mark.parametrize("service", asyncapi.SERVICES)
def test_the_committed_asyncapi_document_is_what_the_table_says(service):
    file = ROOT / f"docs/asyncapi/{service}.asyncapi.json"
    assert json.loads(file.read_text("utf-8")) == asyncapi.document(service), "run make docs"


@pytest.mark.parametrize("service", asyncapi.SERVICES)
def test_every_reference_of_a_document_leads_somewhere(service):
    document = asyncapi.document(service)
    for ref in _refs(document):
        node = document
        for step in ref.removeprefix("#/").split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]


def _refs(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _refs(child)


def test_a_command_from_outside_needs_only_its_own_fields():
    command = SendMessage.model_validate(
        {"id": "o-17", "source": "crm", "account_id": "acc_1", "not_after": "2026-11-21T20:00:00Z",
         "to": {"address": "a@b.example"}, "content": {"text": "hi"}, "row": "forged", "batch": "forged.1"}
    )  # fmt: skip
    assert (command.row, command.attempt, command.batch) == ("crm.o-17", "crm.o-17.1", "crm.o-17.1")
    assert command.ledger_key == "acc_1.crm.o-17.1.crm.o-17"


def test_a_command_of_campaigns_names_its_row_and_batch():
    with pytest.raises(ValidationError, match="row and batch are required"):
        SendMessage.model_validate({k: v for k, v in example(SendMessage).items() if k != "row"})


@pytest.mark.parametrize("bad", ["a.b", "a b", "a>", "*", "", "a\nb", "é"])
def test_an_id_is_one_token_of_a_subject(bad):
    with pytest.raises(ValidationError):
        SendMessage.model_validate({**example(SendMessage), "account_id": bad})


def test_a_message_id_leads_back_to_its_row():
    row = ids.row_id("c", "A@b.example ")
    assert row == ids.row_id("c", "a@b.example")
    for found in (row, "crm.o-17"):
        assert ids.parse_message_id(ids.message_id(found, 2, "toko.example")) == (found, 2)
    assert ids.parse_message_id("<CAF@mail.example>") is None


def test_every_subject_builder_has_its_line_in_the_table():
    built = [
        subjects.send("email", "a", "now"),
        subjects.send("email", "a", "bulk"),
        *(subjects.inbox("email", "a", w) for w in get_args(subjects.What)),
        subjects.session("email", "a"),
        subjects.log("email", "a"),
        subjects.request("email", "a", "answer"),
        subjects.request("email", "a", "check"),
        subjects.test("email"),
        subjects.hint("accounts"),
        subjects.domain("accounts", "account", "deleted"),
    ]
    for subject in built:
        assert any(subjects.matches(c.pattern, subject) for c in CONTRACTS), subject
