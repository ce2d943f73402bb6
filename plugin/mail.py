"""The one way mails leave: by SMTP (RFC 5321) to the server that the settings name, or into the log where none is.

No error made here holds an address, a password or what the server said beyond its codes.
"""

import logging
import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from plugin.domain.moment import SECOND
from plugin.errors import PluginError, Sentence
from plugin.outbound import Busy
from plugin.settings import Settings

STEP_SECONDS = 15  # for each answer of the server; there are at most nine, and a task has so much time
AWAY = 60 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PORTS = {"smtp": 25, "smtps": 465}
_SUBMISSION = 587  # where a server takes mail from those who sign in (RFC 6409)
_ENHANCED = re.compile(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}")  # RFC 3463
_log = logging.getLogger(__name__)


class MailDelayed(PluginError):
    """The server did not take the mail now, or nobody can tell whether it did; the same mail may be sent again."""

    status = 502

    def __init__(self, reason: str) -> None:
        super().__init__("mail_delayed", "The mail could not be handed over: %(reason)s.", reason=Sentence.of(reason))


class MailServerAway(MailDelayed):
    """The server cannot be reached, or broke off."""

    def __init__(self, error: Exception) -> None:
        super().__init__(Sentence("the server cannot be reached (%(fault)s)", fault=type(error).__name__))


class MailRefused(PluginError):
    """The server will never take this mail for this recipient."""

    status = 502

    def __init__(self, reason: str) -> None:
        super().__init__("mail_refused", "The mail is refused for good: %(reason)s.", reason=Sentence.of(reason))


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to one recipient. ``id`` is the same at each attempt; at ``off`` mails of its kind are turned off."""

    id: str
    to: str
    subject: str
    text: str
    html: str
    off: str | None = None


class Postman:
    """Hands mails over. A server that cannot be reached is left alone for a minute: other work must not wait for it."""

    def __init__(self) -> None:
        self._away_until = 0

    def send(self, settings: Settings, mail: Mail, *, now: int) -> None:
        """Hand a mail over to the server; raise MailDelayed, MailRefused, or Busy where it is left alone."""
        if not settings.mail_url:
            _log.warning("No mail server is set, so this mail to %s goes nowhere else:\n\n%s", mail.to, mail.text)
            return
        server, message = urlsplit(settings.mail_url), _message(settings, mail, now)
        if now < self._away_until:
            raise Busy(server.hostname or "", self._away_until, sent=False)
        try:
            _hand_over(server, _local_name(settings), message)
        except MailServerAway:
            self._away_until = now + AWAY
            raise
        self._away_until = 0


def _message(settings: Settings, mail: Mail, now: int) -> EmailMessage:
    # Seven bits, for not every server takes eight.
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["From"] = settings.mail_from
    message["To"] = _address(mail.to)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(_EPOCH + timedelta(microseconds=now))
    message["Message-ID"] = f"<{mail.id}@{message['From'].addresses[0].domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office notes
    if mail.off is not None:
        message["List-Unsubscribe"] = f"<{mail.off}>"  # RFC 2369; the line below RFC 8058
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def _address(text: str) -> Address:
    """Read a recipient's address; raise MailRefused for what no mail can be sent to."""
    local, _, domain = text.rpartition("@")
    try:
        if not text.isprintable():
            raise ValueError
        host = domain.encode("idna").decode()
        # What is written by it must be right for any script (RFC 6531), which its parser knows of ASCII alone.
        shape = "".join(mark if mark.isascii() else "x" for mark in local)
        return Address(username=local, domain=Address(addr_spec=f"{shape}@{host}").domain)
    except (MessageError, ValueError, IndexError):
        raise MailRefused("the recipient's address is none") from None


def _local_name(settings: Settings) -> str:
    """Return how we introduce ourselves; the machine's own name would have to be looked up, which may take long."""
    host = urlsplit(settings.base_url).hostname or "localhost"
    try:
        number = ip_address(host)
    except ValueError:
        return host
    return f"[{number}]" if number.version == 4 else f"[IPv6:{number}]"


def _hand_over(server: SplitResult, local_name: str, message: EmailMessage) -> None:
    is_taken = False
    try:
        with _connected(server, local_name) as connection:
            connection.send_message(message)
            is_taken = True
    except smtplib.SMTPRecipientsRefused as error:
        ((code, said),) = error.recipients.values()
        raise _refusal(code, said) from None
    except smtplib.SMTPDataError as error:
        raise _refusal(error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPNotSupportedError:
        raise MailRefused("the server takes no address like the recipient's") from None
    except smtplib.SMTPResponseException as error:  # about us and not about the recipient: the owner may mend it
        raise MailDelayed(_answered(error.smtp_code, error.smtp_error)) from None
    except (OSError, smtplib.SMTPException) as error:
        if not is_taken:
            raise MailServerAway(error) from None


@contextmanager
def _connected(server: SplitResult, local_name: str) -> Iterator[smtplib.SMTP]:
    """Open a connection to a server, encrypted where it can be, and sign in where the settings say as whom."""
    host, is_tls = server.hostname or "", server.scheme == "smtps"
    port = server.port or (_SUBMISSION if server.username and not is_tls else _PORTS[server.scheme])
    trust = _trust(host)
    connection = (
        smtplib.SMTP_SSL(host, port, local_name, timeout=STEP_SECONDS, context=trust)
        if is_tls
        else smtplib.SMTP(host, port, local_name, timeout=STEP_SECONDS)
    )
    try:
        connection.ehlo_or_helo_if_needed()
        if not is_tls and connection.has_extn("starttls"):
            connection.starttls(context=trust)
            connection.ehlo()
            is_tls = True
        if server.username:
            if not (is_tls or _is_this_machine(host)):
                raise MailDelayed("the server offers no encryption, and the password would be read by anybody")
            _sign_in(connection, server)
        yield connection
        with suppress(smtplib.SMTPException, OSError):
            connection.quit()
    finally:
        connection.close()


def _sign_in(connection: smtplib.SMTP, server: SplitResult) -> None:
    try:
        connection.login(unquote(server.username or ""), unquote(server.password or ""))
    except smtplib.SMTPResponseException as error:
        codes = _codes(error.smtp_code, error.smtp_error)
        raise MailDelayed(Sentence("the server does not let us sign in (%(codes)s)", codes=codes)) from None
    except smtplib.SMTPException:  # it knows no way to, or hangs up
        raise MailDelayed("the server does not let us sign in") from None


def _trust(host: str) -> ssl.SSLContext:
    """Return what is asked of a server's certificate: everything, but nothing of this machine's own server."""
    trust = ssl.create_default_context()
    if _is_this_machine(host):
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    return trust


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refusal(code: int, said: bytes | str) -> PluginError:
    """Return what an answer about the recipient means: 4xx passes, 5xx does not (RFC 5321, section 4.2.1)."""
    answered = _answered(code, said)
    return MailRefused(answered) if code >= 500 else MailDelayed(answered)


def _answered(code: int, said: bytes | str) -> Sentence:
    return Sentence("the server answered %(codes)s", codes=_codes(code, said))


def _codes(code: int, said: bytes | str) -> str:
    found = _ENHANCED.match(said if isinstance(said, bytes) else said.encode())
    return f"{code} {found[0].decode()}" if found else str(code)
