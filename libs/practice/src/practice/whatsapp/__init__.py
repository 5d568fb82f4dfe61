"""The practice WhatsApp: a page for the unmodified wa-js bundle, and the chat server behind it.

`python -m practice.whatsapp` runs it; `practice.whatsapp.running()` runs it for a test.
"""

from practice.whatsapp.client import WhatsAppPractice
from practice.whatsapp.platform import Ports, WhatsAppPlatform
from practice.whatsapp.process import Running, running
from practice.whatsapp.settings import WhatsAppSettings

__all__ = ["Ports", "Running", "WhatsAppPlatform", "WhatsAppPractice", "WhatsAppSettings", "running"]
