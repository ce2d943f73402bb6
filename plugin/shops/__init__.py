"""The shops Passalong speaks with: one file each. A module here registers itself by the ``name`` of its ``SHOP``."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from plugin.errors import BadRequest
from plugin.shops.base import Shop


@cache
def _found() -> dict[str, Shop]:
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    shops = (getattr(module, "SHOP", None) for module in modules)
    return {shop.name: shop for shop in shops if shop is not None}


def names() -> list[str]:
    """Return the platforms there are."""
    return sorted(_found())


def get(platform: str) -> Shop:
    """Return the adapter of a platform; raise BadRequest naming those there are."""
    try:
        return _found()[platform]
    except KeyError:
        raise BadRequest(
            "unknown_platform",
            "There is no platform %(platform)s; choose one of %(names)s.",
            platform=repr(platform),
            names=", ".join(names()),
        ) from None
