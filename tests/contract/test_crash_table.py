"""The page for operators says what becomes of a message wherever a process dies, as the tests see it."""

from servicekit.failpoints import POINTS

from tests.support import crash_table
from tests.support.crash_cases import CASES


def test_every_point_has_a_promise():
    of_messages = {point for point in POINTS if not point.startswith("import.")}
    assert {
        case.point for case in CASES
    } == of_messages  # of an import: tests/integration/accounts/test_session_import.py
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_page_holds_the_promises():
    page = crash_table.PAGE.read_text("utf-8")
    promised = {case.name: f"{case.deliveries} {case.state}" for case in CASES}
    assert crash_table.BEGIN + crash_table.table(promised) + crash_table.END in page


def test_no_promise_is_a_second_delivery():
    assert {case.deliveries for case in CASES} <= {0, 1}
    assert {case.deliveries for case in CASES if case.state in ("sent", "in the inbox")} == {1}
    assert {case.deliveries for case in CASES if case.state in ("failed", "cancelled")} == {0}
