"""Channel `email`: a mail by SMTP."""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from g6_alerts.channels.message import Message
from g6_alerts.channels.settings import EmailSettings
from g6core import Rejected, Unavailable, hide

log = logging.getLogger("g6.alerts.email")


class Mail:
    """The Message-ID is the message's own: a mail that comes twice is told by it."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._where = f"{settings.host}:{settings.port}"
        if settings.password:
            hide(settings.password.get_secret_value())

    def send(self, message: Message, channel: str) -> None:
        with self._told():
            mail = letter(message, self._settings)
            server = self._connected()
            try:
                refused = server.send_message(mail)
            finally:
                _leave(server)
        for address, (code, said) in refused.items():
            log.error("%s took an alert for the others, not for %s: %d %s", self._where, address, code, _words(said))

    def check(self) -> None:
        """Its settings say all."""

    def diagnose(self) -> str:
        with self._told():
            _leave(self._connected())
        return f"alerts go to {', '.join(self._settings.recipients)} by {self._where}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except smtplib.SMTPRecipientsRefused as e:
            raise self._later(*min(e.recipients.values())) from None
        except smtplib.SMTPDataError as e:
            if 500 <= e.smtp_code < 600:
                raise Rejected(f"{self._where} refuses the mail with {e.smtp_code}: {_words(e.smtp_error)}") from None
            raise self._later(e.smtp_code, e.smtp_error) from None
        except smtplib.SMTPResponseException as e:
            raise self._later(e.smtp_code, e.smtp_error) from None
        except ValueError as e:  # such as a host's name with an empty part
            hint = "mend `host`, the user, the password or the addresses; nothing is lost meanwhile"
            raise Unavailable(f"no mail can be sent by {self._where}: {e}", hint=hint) from None
        except (OSError, smtplib.SMTPException) as e:
            reason = "no answer in time" if isinstance(e, TimeoutError) else getattr(e, "strerror", None) or str(e)
            raise Unavailable(f"{self._where} does not answer: {reason}", hint="nothing is lost meanwhile") from None

    def _connected(self) -> smtplib.SMTP:
        s = self._settings
        seconds = s.timeout.total_seconds()
        us = s.sender.partition("@")[2]  # the name of this machine would be looked up each time, which may take long
        context = ssl.create_default_context()
        if s.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(s.host, s.port, us, timeout=seconds, context=context)
        else:
            server = smtplib.SMTP(s.host, s.port, us, timeout=seconds)
        try:
            if s.security == "starttls":
                server.starttls(context=context)
            if s.user is not None and s.password is not None:
                server.login(s.user, s.password.get_secret_value())
        except BaseException:
            server.close()
            raise
        return server

    def _later(self, code: int, said: bytes | str) -> Unavailable:
        mend = "mend the user, the password or the addresses; nothing is lost meanwhile" if code >= 500 else None
        return Unavailable(f"{self._where} answers {code}: {_words(said)}", hint=mend)


def _leave(server: smtplib.SMTP) -> None:
    """Whatever comes of it: the mail was taken, or not, before."""
    with suppress(OSError, smtplib.SMTPException):
        server.quit()
    server.close()


def letter(message: Message, settings: EmailSettings) -> EmailMessage:
    """The mail. Its date is that of the newest alert, so that it is the same however often it is sent."""
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = f"[G6] {message.subject()}"[:200]
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mail["Date"] = format_datetime(message.alerts[-1].ts)
    mail["Message-ID"] = f"<{message.id}@{settings.sender.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    if message.severity == "critical":
        mail["X-Priority"] = "1"
    mail.set_content("\n".join([*message.lines(), "", f"{message.subject()}"]) + "\n")
    return mail


def _words(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return " ".join(text.split())[:200]
