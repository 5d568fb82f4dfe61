"""What the REST APIs promise is committed, so that a change of it is seen in review."""

import json
from pathlib import Path

import pytest

from tests.support import openapi

FOLDER = Path(__file__).parents[2] / "docs/openapi"


@pytest.mark.parametrize("service", openapi.APPS)
def test_the_committed_openapi_document_is_what_the_application_serves(service):
    committed = json.loads((FOLDER / f"{service}.json").read_text("utf-8"))
    assert committed == json.loads(json.dumps(openapi.document(service))), "run make docs"


@pytest.mark.parametrize("service", openapi.APPS)
def test_every_route_says_what_it_does(service):
    silent = [
        f"{method} {path}"
        for path, methods in openapi.document(service)["paths"].items()
        for method, route in methods.items()
        if not route.get("description")
    ]
    assert silent == []


def test_every_document_belongs_to_a_service():
    assert {file.stem for file in FOLDER.glob("*.json")} == set(openapi.APPS)
