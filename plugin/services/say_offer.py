"""What a shop offers, in one sentence each: what I get, what a friend gets, and when it is mine."""

from collections.abc import Mapping
from dataclasses import dataclass

from plugin.languages import formats, mark, texts
from plugin.services.context import Context
from plugin.services.show_offer import Offer, show_offer

# By (what is paid, whether other purchases pay something else).
_MINE: Mapping[tuple[str | None, bool], str] = {
    ("percent", False): mark("You get %(reward)s of what your friends buy."),
    ("percent", True): mark("You get up to %(reward)s of what your friends buy."),
    ("per_order", False): mark("You get %(reward)s for each order of a friend."),
    ("per_order", True): mark("You get up to %(reward)s for each order of a friend."),
    ("per_item", False): mark("You get %(reward)s for each item a friend buys."),
    ("per_item", True): mark("You get up to %(reward)s for each item a friend buys."),
}


@dataclass(frozen=True, slots=True)
class Promise:
    """The sentences; ``mine`` is None where the plan pays nothing yet."""

    mine: str | None
    friend: str
    ready: str


def say_offer(context: Context, shop_id: int, currency: str, language: str) -> Promise:
    """Return what the plan in force offers, in a language."""
    offer = show_offer(context, shop_id, currency)
    return Promise(_mine(offer, language), _friend(offer, language), _ready(offer.hold_days, language))


def _mine(offer: Offer, language: str) -> str | None:
    gettext = texts(language).gettext
    if offer.percent is not None:
        sentence = _MINE["percent", offer.differs]
        return gettext(sentence) % {"reward": formats.percent(offer.percent, language)}
    if offer.amount is not None:
        reward = formats.amount(offer.amount, offer.currency, language)
        return gettext(_MINE[offer.fixed, offer.differs]) % {"reward": reward}
    return None


def _friend(offer: Offer, language: str) -> str:
    gettext = texts(language).gettext
    if offer.cashback is None:
        return gettext("Your friends pay the same price as everybody else.")
    reward = formats.percent(offer.cashback, language)
    return gettext("Your friends get %(reward)s back on what they buy once they share, too.") % {"reward": reward}


def _ready(days: int, language: str) -> str:
    if not days:
        return texts(language).gettext("It is ready as soon as the order is paid.")
    said = texts(language).ngettext(
        "It is ready %(days)s day after the order is paid, when the return period is over.",
        "It is ready %(days)s days after the order is paid, when the return period is over.",
        days,
    )
    return said % {"days": formats.number(days, language)}
