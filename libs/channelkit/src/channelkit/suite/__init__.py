"""The contract suite's parts; a channel's tests inherit `channelkit.contract.ChannelContract`."""
