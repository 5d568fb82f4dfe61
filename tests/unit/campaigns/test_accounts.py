"""What is known of accounts right after the start."""

import pytest
from campaigns.accounts import Accounts
from contracts.channels import Channel
from servicekit.bus import Bus
from servicekit.errors import Unavailable


async def test_nobody_is_told_that_an_account_does_not_exist_before_the_accounts_were_read(service_settings):
    accounts = Accounts(Bus(service_settings), [Channel.EMAIL])
    with pytest.raises(Unavailable):
        accounts.known(Channel.EMAIL, "acc")
    accounts.watches[0].ready.set()
    assert accounts.known(Channel.EMAIL, "acc") is None
