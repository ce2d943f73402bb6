"""The page by which a product is known that a share link leads to."""

import json

import sqlalchemy as sa
from alembic import op

from plugin import shops
from plugin.shops.base import Catalogued

revision = "0008"
down_revision = "0007"

LENGTH_MAX = 255


def upgrade() -> None:
    op.add_column("pa_product", sa.Column("page", sa.String(length=LENGTH_MAX), nullable=True))
    op.create_index("ix_pa_product_page", "pa_product", ["shop_id", "page"], unique=False)
    connection = op.get_bind()
    known = sa.text("SELECT p.shop_id, p.ref, p.body, s.platform FROM pa_product p JOIN pa_shop s ON s.id = p.shop_id")
    mark = sa.text("UPDATE pa_product SET page = :page WHERE shop_id = :shop_id AND ref = :ref")
    for row in connection.execute(known).all():
        adapter, url = shops.get(row.platform), json.loads(row.body)["url"]
        page = adapter.page_of(url) if isinstance(adapter, Catalogued) and url else None
        if page is not None and len(page) <= LENGTH_MAX:
            connection.execute(mark, {"page": page, "shop_id": row.shop_id, "ref": row.ref})
