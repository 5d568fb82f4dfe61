"""What an address does is told by its local part alone."""

import pytest
from practice.mail.recipients import Behaviour, behaviour_of


@pytest.mark.parametrize(
    ("address", "behaviour"),
    [
        ("reply@x.test", Behaviour.REPLY),
        ("Reply-12@x.test", Behaviour.REPLY),
        ("reply12@x.test", Behaviour.REPLY),
        ("reply.12@x.test", Behaviour.REPLY),
        ("u7+reply@x.test", Behaviour.REPLY),
        ("reply+tag@x.test", Behaviour.REPLY),
        ("autoreply-1@x.test", Behaviour.AUTOREPLY),
        ("softbounce@x.test", Behaviour.SOFTBOUNCE),
        ("bounce-1@x.test", Behaviour.BOUNCE),
        ("noreply@x.test", None),
        ("reply-to-me@x.test", None),
        ("replay@x.test", None),
        ("u1@reply.test", None),
        ("@x.test", None),
        ("reply", None),
    ],
)
def test_the_local_part_decides(address, behaviour):
    assert behaviour_of(address) is behaviour
