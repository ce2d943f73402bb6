"""Builds the app: settings, everything that is open for them, and the packages, each through its own ``init_app``.

The app keeps no session and sets no cookie. Packages are included by name, so that ``plugin`` never imports those
above it.
"""

import atexit
import weakref
from collections.abc import Callable, Mapping
from importlib import import_module
from multiprocessing.util import Finalize
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response
from werkzeug.middleware.proxy_fix import ProxyFix

from plugin import clock, health
from plugin.api.problems import answer_error
from plugin.errors import PluginError
from plugin.installation import EXTENSION, Identify, Installation, open_installation
from plugin.settings import Settings, load

PACKAGES = (
    "webhooks",
    "plugin.links",
    "plugin.storefront",
    "plugin.grants",
    "plugin.unsubscribe",
    "plugin.api",
    "admin_ui",
)
_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)


class ForeignPackage(PluginError):
    """A package that has the name of one of ours stands in its way."""


def create_app(
    settings: Settings | Mapping[str, object] | None = None,
    *,
    identify: Identify | None = None,
    now: Callable[[], int] = clock.now,
) -> Flask:
    """Return the app of an installation: of these settings, else of the environment.

    An empty database is made ready. Where the database is away or of another version the app starts nevertheless, and
    ``/readyz`` says so. ``identify`` asks a host app who is signed in; ``now`` is the clock. Raise SettingsError for a
    wrong setting.
    """
    settings = settings if isinstance(settings, Settings) else load(overrides=settings)
    installation = open_installation(settings, identify=identify, now=now)
    app = Flask("plugin", static_folder=None, template_folder=None, instance_path=str(settings.instance))
    # One more than the door takes, so that the door says "too large" in its own words.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + 1
    app.extensions[EXTENSION] = installation
    app.register_error_handler(Exception, answer_error)  # a package that shows pages has its own for its own routes
    app.after_request(protect)
    health.init_app(app)
    for name in PACKAGES:
        _include(app, name)
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    _close_at_exit(installation)
    return app


def _include(app: Flask, name: str) -> None:
    module = import_module(name)
    require_ours(name, module.__file__)
    init_app = getattr(module, "init_app", None)
    if init_app is not None:
        init_app(app)


def require_ours(name: str, file: str | None) -> None:
    """Raise ForeignPackage unless a module lies where ours do: its name is general, and a host may have it too."""
    place = Path(__file__).resolve().parents[1] / name.partition(".")[0]
    if file is None or not Path(file).resolve().is_relative_to(place):
        raise ForeignPackage(
            "foreign_package",
            f"Another package called {name} stands in the way of Passalong's: {file or 'a folder without __init__.py'}."
            " Rename it, or run Passalong by itself in an environment of its own.",
        )


def _close_at_exit(installation: Installation) -> None:
    """Have what still waits in memory written when a server ends the process in order."""
    seen = weakref.ref(installation)

    def close() -> None:
        one = seen()
        if one is not None:
            one.close()

    atexit.register(close)
    # A process that multiprocessing has forked, such as a worker of granian, ends by this instead of by atexit.
    Finalize(None, close, exitpriority=0)


# --- headers --------------------------------------------------------------------------------------------------------


def protect(response: Response) -> Response:
    """Set what no answer should be without; pages have a policy of their own, and a redirect shows nothing."""
    if response.status_code == 308:  # to an address with a slash at its end; Werkzeug repeats whatever host was asked
        response.headers["Location"] = urlsplit(response.headers["Location"])._replace(scheme="", netloc="").geturl()
    if response.status_code != 302:
        known = {name.lower() for name in response.headers.keys()}  # noqa: SIM118 - else these are pairs
        for name, value in _HEADERS:
            if name.lower() not in known:
                response.headers.add(name, value)
    return response
