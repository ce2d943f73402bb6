"""Trying the mail server now: one plain mail to whoever asks, and what came of it."""

import secrets as randomness
from html import escape

from plugin.mail import Mail
from plugin.services.context import Context
from plugin.services.limit_attempts import count_attempt

HOUR_SECONDS = 3_600


def try_mail(context: Context, email: str, *, subject: str, text: str) -> None:
    """Send a mail at once; raise MailDelayed, MailRefused, Busy, or TooMany where it was tried too often."""
    count_attempt(context, "try-mail", email, at_most=10, seconds=HOUR_SECONDS)
    mail = Mail(randomness.token_hex(16), email, subject, text, f"<p>{escape(text)}</p>")
    context.postman.send(context.settings, mail, now=context.now())
