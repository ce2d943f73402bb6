"""The pages: the owner's, and each sharer's own."""

from flask import Flask

from admin_ui import as_sharer, assets, brand, owner, page, sharer, words


def init_app(app: Flask) -> None:
    """Open the pages. They are isolated: no extension of a host is needed, and none is touched."""
    assets.init_app(app)
    brand.init_app(app)
    page.init_app(app)
    words.init_app(app)
    owner.init_app(app)
    sharer.init_app(app)
    as_sharer.init_app(app)
