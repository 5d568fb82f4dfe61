"""The tests every channel passes: inherit `ChannelContract` and supply the `world` fixture (`suite.rig.World`).

class TestMyChannel(ChannelContract):
    @pytest.fixture
    def world(self) -> World: ...
"""

from channelkit.suite.login import LoginRules
from channelkit.suite.removal import RemovalRules
from channelkit.suite.replicas import ReplicaRules
from channelkit.suite.sending import SendingRules


class ChannelContract(LoginRules, SendingRules, RemovalRules, ReplicaRules):
    """Everything the kit and a channel promise together."""
