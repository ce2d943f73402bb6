"""Mounts Passalong in a Flask app that is already there: an app of its own behind a prefix, put in front of the host.

Nothing of the host is touched: its extensions, sessions, error pages and hooks stay its own, and so do ours.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import plugin
from plugin.app import create_app, require_ours
from plugin.errors import PluginError
from plugin.installation import EXTENSION, Identify, Installation
from plugin.settings import SETTINGS, Settings, load

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

HOST_EXTENSION = "passalong_host"


class CannotMount(PluginError):
    """The prefix or the host app is not fit for it."""


@dataclass(frozen=True, eq=False)
class Mounted:
    """What a host app keeps of the Passalong in front of it."""

    app: Flask
    url_prefix: str

    @property
    def installation(self) -> Installation:
        """Return what is open for the mounted app."""
        found: Installation = self.app.extensions[EXTENSION]
        return found


class Passalong:
    """The extension. It keeps nothing of an app, so one object serves any number of them."""

    def __init__(self, app: Flask | None = None, **options: Any) -> None:
        if app is not None:
            self.init_app(app, **options)

    def init_app(
        self, app: Flask, url_prefix: str = "/passalong", identify: Callable[[], Any] | None = None
    ) -> None:
        """Mount Passalong below ``url_prefix``, with the settings ``PASSALONG_*`` of the host's config.

        ``identify`` is called in a request of the host and returns who is signed in there: an e-mail address that the
        host knows to be theirs, or a mapping of ``email`` and, for those who run shops, ``role``, ``shop`` and
        ``fresh``; None for nobody. They are signed in to the pages as long as it says so. The worker runs beside the
        host: ``flask passalong worker``. Call this after anything else that wraps ``app.wsgi_app``. Raise
        SettingsError for a wrong setting, CannotMount where the prefix is none or the app has a Passalong already.
        """
        require_ours("plugin", plugin.__file__)
        if HOST_EXTENSION in app.extensions:
            raise CannotMount("mounted_twice", "This app has a Passalong already: call init_app once.")
        if not url_prefix.startswith("/") or url_prefix.endswith("/") or not url_prefix.isprintable():
            raise CannotMount("bad_prefix", "Write the prefix like /passalong: a slash before it and none after it.")
        settings = _settings(app, url_prefix)
        inner = create_app(settings, identify=identify and _asks_host(app, url_prefix, identify))
        app.extensions[HOST_EXTENSION] = Mounted(inner, url_prefix)
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {url_prefix: inner.wsgi_app})  # type: ignore[method-assign]


def _settings(app: Flask, url_prefix: str) -> Settings:
    """Return the settings; an address that nobody named gets the prefix, so that links lead to where we are mounted."""
    settings = load(overrides=app.config)
    usual = next(one.default for one in SETTINGS if one.name == "base_url")
    return replace(settings, base_url=f"{usual}{url_prefix}") if settings.base_url == usual else settings


def _asks_host(app: Flask, url_prefix: str, identify: Callable[[], Any]) -> Identify:
    """Return a question to the host that can be asked from within a request of ours."""

    def ask(environ: "WSGIEnvironment") -> Any:
        theirs = dict(environ)
        theirs["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "").removesuffix(url_prefix)
        theirs["PATH_INFO"] = url_prefix + environ.get("PATH_INFO", "")
        theirs |= {"wsgi.input": BytesIO(), "CONTENT_LENGTH": "0"}  # a form's body is ours, and is read once
        with app.request_context(theirs):
            return identify()

    return ask
