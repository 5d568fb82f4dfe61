"""The practice mail system: a real SMTP and IMAP server with an API that says what truly arrived.

`python -m practice.mail` runs it; `practice.mail.running()` runs it for a test.
"""

from practice.mail.platform import MailPlatform, Ports
from practice.mail.process import Running, running
from practice.mail.settings import MailSettings

__all__ = ["MailPlatform", "MailSettings", "Ports", "Running", "running"]
