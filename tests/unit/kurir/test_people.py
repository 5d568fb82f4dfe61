"""The people of a rehearsal: who does what, and that their addresses can be imported."""

import csv
import itertools

import phonenumbers
import pytest
from kurir.demo import people
from kurir.demo.people import Person


def test_one_in_ten_replies_one_unsubscribes_and_those_never_reached_are_one_each():
    acts = [people.acting(number, ("block", "absent")) for number in range(40)]
    assert acts[:4] == ["reply", "block", "absent", "unsubscribe"]
    assert acts.count("reply") == 4
    assert acts.count("read") == 40 - 4 - 3


@pytest.mark.parametrize("number", [0, 999_999])
@pytest.mark.parametrize("acts", ["read", "reply", "unsubscribe", "block", "absent", "shop"])
def test_a_phone_number_is_possible_and_says_what_its_owner_does(acts, number):
    text = people.phone(acts, 9_999_999, number)
    found = phonenumbers.parse(text)
    assert phonenumbers.is_possible_number(found)
    assert phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164) == text
    assert text.startswith(people.numbers(acts))


def test_no_two_people_of_a_run_or_of_two_runs_have_the_same_number():
    found = [people.phone(acts, run, n) for acts, run, n in itertools.product(("read", "reply"), (1, 2), range(50))]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("count", [1, 1_000, 1_001, 2_500])
def test_the_file_has_one_line_for_each_and_names_the_column_once(count):
    given = [Person(f"N{n}", f"+62811{n}", "read", column="phone") for n in range(count)]
    rows = list(csv.DictReader(b"".join(people.csv(given)).decode().splitlines()))
    assert [row["phone"] for row in rows] == [person.address for person in given]
