"""A mail server on this machine, which takes what it is told to take and keeps it."""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.world import World

OK = "250 OK"


class _Text(HTMLParser):
    """Reads what a page shows, and which addresses it leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self._style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._style = tag == "style"
        self.links += [value or "" for name, value in attributes if name == "href"]

    def handle_data(self, data: str) -> None:
        if not self._style and data.strip():
            self.said.append(data.strip())

    def handle_endtag(self, tag: str) -> None:
        self._style = False


class Arrived:
    """A mail that was taken: its envelope, its headers and both its readings."""

    def __init__(self, server: SMTP, envelope: Envelope, session: Session) -> None:
        self.sender, self.recipients = envelope.mail_from, envelope.rcpt_tos
        self.raw: bytes = envelope.original_content or b""
        assert server.transport is not None
        self.encrypted = server.transport.get_extra_info("ssl_object") is not None
        self.user = getattr(session.auth_data, "login", None)
        message = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.message = message
        self.subject = str(message["Subject"])
        self.id = str(message["Message-ID"])
        plain, html = message.iter_parts()
        assert isinstance(plain, EmailMessage) and isinstance(html, EmailMessage)
        assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
        self.text = str(plain.get_content()).replace("\r\n", "\n")
        self.html = str(html.get_content())
        self.page = _Text(self.html)

    @property
    def to(self) -> str:
        """Return the one recipient."""
        (one,) = self.recipients
        assert one == str(self.message["To"])
        return str(one)

    @property
    def off(self) -> str | None:
        """Return where mails of this kind are turned off."""
        listed = self.message["List-Unsubscribe"]
        assert (listed is None) == (self.message["List-Unsubscribe-Post"] is None)
        return None if listed is None else str(listed).strip("<>")


class _AnyPort(Controller):
    """Listens on a port that is free, and knocks there to see that it listens."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@dataclass
class PostOffice:
    """The server. ``at_rcpt`` and ``at_data`` are answers for the next mails; then it takes everything."""

    certificate: ssl.SSLContext | None = None
    is_smtps: bool = False
    user: tuple[str, str] | None = None
    takes_any_script: bool = False

    def __post_init__(self) -> None:
        self.mails: list[Arrived] = []
        self.at_rcpt: deque[str] = deque()
        self.at_data: deque[str] = deque()
        self.tries = 0
        more: dict[str, Any] = {"enable_SMTPUTF8": self.takes_any_script}
        if self.certificate and not self.is_smtps:
            more["tls_context"] = self.certificate
        if self.user:
            more |= {"authenticator": self._authenticate, "auth_require_tls": False}
        wrapped = self.certificate if self.is_smtps else None
        self._controller = _AnyPort(self, "127.0.0.1", 0, ssl_context=wrapped, ready_timeout=20, **more)
        self._controller.start()
        self.port = self._controller.port

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, kind: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(
            success=(data.login.decode(), data.password.decode()) == self.user, handled=False, auth_data=data
        )

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tries += 1
        answer = self.at_rcpt.popleft() if self.at_rcpt else OK
        if answer == OK:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.at_data.popleft() if self.at_data else OK
        if answer == OK:
            self.mails.append(Arrived(server, envelope, session))
        await asyncio.sleep(0)
        return answer

    def take(self) -> list[Arrived]:
        """Return what came since the last look, oldest first."""
        taken, self.mails[:] = list(self.mails), []
        return taken

    def only(self) -> Arrived:
        """Return the one mail that came since the last look."""
        (one,) = self.take()
        return one

    def close(self) -> None:
        """End the server."""
        if self._controller.server is not None:
            self._controller.stop()


def send_to(world: World, url: str) -> None:
    """Have the installation send its mails to a server, as its settings would say it."""
    object.__setattr__(world.context, "settings", replace(world.context.settings, mail_url=url))
