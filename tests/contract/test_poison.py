"""Every subject that somebody consumes has its poison (tests/faults/test_dead_letters.py publishes it)."""

import json

import pytest
from contracts.registry import CONTRACTS
from pydantic import ValidationError
from servicekit.delivery.received import by_contract
from servicekit.errors import Permanent

from tests.support import poison


def test_a_contract_that_is_consumed_has_its_poison_and_no_other():
    assert set(poison.OWN) == {contract.address for contract in poison.consumed()}
    assert len(poison.consumed()) < len([c for c in CONTRACTS if c.transport == "jetstream"])


@pytest.mark.parametrize("contract", poison.consumed(), ids=lambda contract: contract.address)
def test_what_is_called_good_can_be_read_and_the_rest_cannot_or_is_its_handlers(contract):
    subject = poison.subject(contract, "acc_1")
    assert by_contract(subject, {}, json.dumps(poison.good(contract, "acc_1")).encode())
    for one in poison.poison(contract, "acc_1"):
        if one.kind in poison.OWN[contract.address]:
            assert by_contract(one.subject, dict(one.headers), one.payload), one.kind
        else:
            with pytest.raises((Permanent, ValidationError, ValueError)):
                by_contract(one.subject, dict(one.headers), one.payload)
