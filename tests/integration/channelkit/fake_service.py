"""A channel service of the fake platform, as a process: `python fake_service.py PORT NATS_URL SEALING_KEY`."""

import sys

from channelkit.app import build_app
from channelkit.fake import FakeChannel, FakePlatform
from channelkit.settings import ChannelSettings
from servicekit.app import run


def main() -> None:
    port, nats_url, key = sys.argv[1:]
    settings = ChannelSettings(
        service="channel-telegram", host="127.0.0.1", port=int(port), nats_url=nats_url, sealing_keys=key,
        address_hmac_keys="one,two", report_seconds=0.2,
    )  # fmt: skip
    run(lambda: build_app(FakeChannel(FakePlatform()), settings), settings)


if __name__ == "__main__":
    main()
