"""A stand-in for Telegram: MTProto at two DCs, in one process, with an API that counts what arrived."""

from practice.telegram.client import TelegramPractice
from practice.telegram.platform import Ports, TelegramPlatform
from practice.telegram.process import Running, running
from practice.telegram.settings import TelegramSettings

__all__ = ["Ports", "Running", "TelegramPlatform", "TelegramPractice", "TelegramSettings", "running"]
