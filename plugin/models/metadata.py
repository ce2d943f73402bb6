"""What all tables share: one metadata with a name prefix for every key, so that a host's tables are never touched."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers its rows by an INTEGER primary key and by nothing else.
Number = BigInteger().with_variant(Integer, "sqlite")


def number_column(name: str = "id") -> Column[int]:
    """Return a primary key that the database counts up."""
    return Column(name, Number, primary_key=True, autoincrement=True)


def mac_column() -> Column[bytes]:
    """Return the keyed digest of the row; check-books reckons it anew."""
    return Column("mac", LargeBinary(16), nullable=False)
