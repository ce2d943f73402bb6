"""One installation at work in this process: everything that is open for it, and how it is opened and closed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from plugin import clock
from plugin.database import Database
from plugin.keys import FILE_NAME, KeyStore
from plugin.migrations import make_ready
from plugin.queue import Queue
from plugin.services.check_keys import keys_fit
from plugin.services.context import Context
from plugin.services.find_friend import FriendCache
from plugin.services.find_product import ProductCache
from plugin.services.find_storefront import StorefrontCache
from plugin.services.hand_out_codes import CodeStock
from plugin.services.record_clicks import ClickRecorder, LinkCache
from plugin.services.show_poster import Posters
from plugin.services.store_delivery import Intake
from plugin.settings import Settings, SettingsError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

EXTENSION = "passalong"
Identify = Callable[["WSGIEnvironment"], Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Installation:
    """What the web and the workers use. ``identify`` asks a host app who is signed in there."""

    settings: Settings
    context: Context
    queue: Queue
    intake: Intake
    clicks: ClickRecorder
    codes: CodeStock
    link_cache: LinkCache
    friends: FriendCache
    products: ProductCache
    posters: Posters
    storefronts: StorefrontCache
    identify: Identify | None = None

    def close(self) -> None:
        """Write down what still waits, and close every connection. Closing twice is closing once."""
        self.intake.stop()
        self.clicks.stop()
        self.codes.stop()
        self.queue.stop()
        self.context.database.close()


def open_context(settings: Settings, *, now: Callable[[], int] = clock.now) -> Context:
    """Open the database and the keys; make the instance folder and the keys on the first start.

    Raise SettingsError where one of them cannot be made, or where the keys are not those of the database.
    """
    try:
        settings.instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError("PASSALONG_INSTANCE", f"cannot be made: {error.strerror}. Name another folder.") from None
    context = Context(Database(settings.database_url), KeyStore(settings), settings, now)
    _require_right_keys(context)
    return context


def _require_right_keys(context: Context) -> None:
    """Refuse to go on with lost keys: what new ones write could never be held against the rest."""
    try:
        fit = keys_fit(context)
    except SQLAlchemyError:  # away, empty or of another version, which is told elsewhere
        return
    if not fit:
        context.database.close()
        where = "given" if context.settings.keys else f"in {context.settings.instance / FILE_NAME}"
        raise SettingsError("PASSALONG_KEYS", f"{where} are not the keys of this database. Restore them from a backup.")


def open_installation(
    settings: Settings, *, identify: Identify | None = None, now: Callable[[], int] = clock.now
) -> Installation:
    """Open everything; an empty database is made ready. A database that is away, or of another version, is no error."""
    context = open_context(settings, now=now)
    is_ready(context.database)
    queue = Queue(context)
    links = LinkCache(context)
    context.wakers.append(queue.wake)
    return Installation(
        settings=settings,
        context=context,
        queue=queue,
        intake=Intake(context, queue.wake),
        clicks=ClickRecorder(context),
        codes=CodeStock(context),
        link_cache=links,
        friends=FriendCache(context, links),
        products=ProductCache(context),
        posters=Posters(context),
        storefronts=StorefrontCache(context),
        identify=identify,
    )


def is_ready(database: Database) -> bool:
    """Make the database ready where it is empty; tell whether it can be had and stands at the newest migration."""
    try:
        return make_ready(database)
    except Exception as error:  # drivers raise what they like; whoever asks gets no, and the log says why
        _log.error("The database is not ready: %s", type(error).__name__)
        return False
