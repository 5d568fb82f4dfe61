"""Every setting is documented, and the page that operators read is the code's."""

from pathlib import Path

import pytest

from tests.support import settings_table

PAGE = Path(__file__).parents[2] / "docs/settings.md"


def test_the_page_of_settings_is_what_the_services_take():
    assert PAGE.read_text("utf-8") == settings_table.page() + "\n", "run make docs"


@pytest.mark.parametrize("service", settings_table.SERVICES)
def test_every_setting_says_what_it_is_and_its_unit(service):
    for name, field in settings_table.SERVICES[service].model_fields.items():
        assert field.description or name == "service", name
        if field.annotation in {float, float | None}:
            assert name.endswith(("_seconds", "_days", "_mb")), name
