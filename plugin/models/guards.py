"""What the database itself refuses, as triggers: changed or deleted rows, money along no edge, overdrawn accounts.

The same rules in two dialects. SQLite has row triggers only; PostgreSQL books a whole statement at once.
"""

# ruff: noqa: S608 - every name below is a constant of this project

from plugin.domain.ledger import EDGES, MAY_OVERDRAW, SHARER_PURPOSES, SHOP_PURPOSES

APPEND_ONLY = (
    "pa_transfer",
    "pa_fact",
    "pa_order_state",
    "pa_decision",
    "pa_plan",
    "pa_chain",
    "pa_link",
    "pa_sharer",
    "pa_event",
)
# What came in is never changed; the state of the work on it is.
DELIVERY_FIXED = ("shop_id", "delivery_id", "topic", "body_sha", "received_at", "mac")


def _list(values: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


_EDGES = " OR ".join(
    f"(t.kind = '{kind}' AND a.purpose = '{source}' AND b.purpose = '{target}')"
    for kind, (source, target) in EDGES.items()
)
_NEVER_BELOW_ZERO = _list(tuple(purpose for purpose in SHARER_PURPOSES if purpose != "payable"))
# An account pair fits its transfer: same shop and currency, both live or both not, the sharer's own or the shop's.
_FITS = f"""
    a.shop_id = t.shop_id AND b.shop_id = t.shop_id AND a.live = b.live
    AND a.sharer_id = CASE WHEN a.purpose IN ({_list(SHOP_PURPOSES)}) THEN 0 ELSE t.sharer_id END
    AND b.sharer_id = CASE WHEN b.purpose IN ({_list(SHOP_PURPOSES)}) THEN 0 ELSE t.sharer_id END
    AND ({_EDGES})"""
_LOT_COLUMNS = ", ".join(SHARER_PURPOSES)
_LOT_ADD = ", ".join(f"{purpose} = pa_lot.{purpose} + excluded.{purpose}" for purpose in SHARER_PURPOSES)


def _case(purpose: str, amount: str) -> str:
    return f"CASE WHEN b.purpose = '{purpose}' THEN {amount} WHEN a.purpose = '{purpose}' THEN -{amount} ELSE 0 END"


def sqlite() -> list[str]:
    """Return the triggers for SQLite."""
    statements = []
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            statements.append(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table}: rows are never changed or deleted'); END"
            )
    statements.append(
        f"CREATE TRIGGER pa_delivery_no_update BEFORE UPDATE OF {', '.join(DELIVERY_FIXED)} ON pa_delivery "
        "BEGIN SELECT RAISE(ABORT, 'pa_delivery: what came in is never changed'); END"
    )
    statements.append(
        "CREATE TRIGGER pa_delivery_no_delete BEFORE DELETE ON pa_delivery "
        "BEGIN SELECT RAISE(ABORT, 'pa_delivery: rows are never deleted'); END"
    )
    joined = "pa_account a, pa_account b WHERE a.id = NEW.from_account AND b.id = NEW.to_account"
    fits = _FITS.replace("t.", "NEW.")
    cases = ", ".join(_case(purpose, "NEW.amount") for purpose in SHARER_PURPOSES)
    statements.append(
        "CREATE TRIGGER pa_transfer_book AFTER INSERT ON pa_transfer BEGIN "
        f"SELECT RAISE(ABORT, 'pa_transfer: no such edge') WHERE NOT EXISTS (SELECT 1 FROM {joined} AND {fits}); "
        "UPDATE pa_account SET balance = balance - NEW.amount WHERE id = NEW.from_account; "
        "UPDATE pa_account SET balance = balance + NEW.amount WHERE id = NEW.to_account; "
        # SQLite goes on with a rounded number where 64 bits are not enough.
        "SELECT RAISE(ABORT, 'pa_account: more than it can hold') FROM pa_account "
        "WHERE id IN (NEW.from_account, NEW.to_account) AND typeof(balance) <> 'integer'; "
        "SELECT RAISE(ABORT, 'pa_transfer: more than is payable') FROM pa_account WHERE id = NEW.from_account "
        f"AND purpose = 'payable' AND balance < 0 AND NEW.kind NOT IN ({_list(MAY_OVERDRAW)}); "
        f"INSERT INTO pa_lot (order_id, sharer_id, role, currency, shop_id, {_LOT_COLUMNS}) "
        f"SELECT NEW.order_id, NEW.sharer_id, NEW.role, NEW.currency, NEW.shop_id, {cases} FROM {joined} "
        f"ON CONFLICT (order_id, sharer_id, role, currency) DO UPDATE SET {_LOT_ADD}; END"
    )
    statements.append(
        "CREATE TRIGGER pa_chain_close BEFORE INSERT ON pa_chain BEGIN "
        "SELECT RAISE(ABORT, 'pa_account: below zero') FROM pa_account "
        f"WHERE shop_id = NEW.shop_id AND balance < 0 AND purpose IN ({_NEVER_BELOW_ZERO}); END"
    )
    return statements


def postgresql() -> list[str]:
    """Return the functions and triggers for PostgreSQL."""
    refuse = (
        "CREATE OR REPLACE FUNCTION pa_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ': rows are never changed or deleted', "
        "ERRCODE = 'restrict_violation'; "
        "END $$"
    )
    statements = [refuse]
    for table in APPEND_ONLY:
        statements.append(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION pa_refuse()"
        )
    statements.append(
        f"CREATE TRIGGER pa_delivery_no_update BEFORE UPDATE OF {', '.join(DELIVERY_FIXED)} ON pa_delivery "
        "FOR EACH ROW EXECUTE FUNCTION pa_refuse()"
    )
    statements.append(
        "CREATE TRIGGER pa_delivery_no_delete BEFORE DELETE OR TRUNCATE ON pa_delivery "
        "FOR EACH STATEMENT EXECUTE FUNCTION pa_refuse()"
    )
    statements.append(booking())
    statements.append(
        "CREATE TRIGGER pa_transfer_book AFTER INSERT ON pa_transfer REFERENCING NEW TABLE AS fresh "
        "FOR EACH STATEMENT EXECUTE FUNCTION pa_book()"
    )
    statements.append(
        f"""CREATE OR REPLACE FUNCTION pa_close() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF EXISTS (SELECT 1 FROM pa_account WHERE shop_id = NEW.shop_id AND balance < 0
    AND purpose IN ({_NEVER_BELOW_ZERO})) THEN
  RAISE EXCEPTION 'pa_account: below zero' USING ERRCODE = 'check_violation'; END IF;
RETURN NEW; END $$"""
    )
    statements.append(
        "CREATE TRIGGER pa_chain_close BEFORE INSERT ON pa_chain FOR EACH ROW EXECUTE FUNCTION pa_close()"
    )
    return statements


def booking() -> str:
    """Return the function by which PostgreSQL books the transfers of a statement.

    Whether a transfer fits is asked after an outer join by the accounts' numbers: as a condition of the join the
    planner may make of it a search through all accounts of the shop, once for each transfer.
    """
    joined = "fresh t JOIN pa_account a ON a.id = t.from_account JOIN pa_account b ON b.id = t.to_account"
    cases = ", ".join(f"sum({_case(purpose, 't.amount')})" for purpose in SHARER_PURPOSES)
    return f"""CREATE OR REPLACE FUNCTION pa_book() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF EXISTS (SELECT 1 FROM {joined.replace("JOIN", "LEFT JOIN")} WHERE ({_FITS}) IS NOT TRUE) THEN
  RAISE EXCEPTION 'pa_transfer: no such edge' USING ERRCODE = 'check_violation'; END IF;
UPDATE pa_account SET balance = balance + moved.amount FROM (
  SELECT account, sum(amount) AS amount FROM (
    SELECT from_account AS account, -amount AS amount FROM fresh
    UNION ALL SELECT to_account, amount FROM fresh) both_sides GROUP BY account) moved
  WHERE pa_account.id = moved.account;
IF EXISTS (SELECT 1 FROM fresh t JOIN pa_account a ON a.id = t.from_account WHERE a.purpose = 'payable'
    AND a.balance < 0 AND t.kind NOT IN ({_list(MAY_OVERDRAW)})) THEN
  RAISE EXCEPTION 'pa_transfer: more than is payable' USING ERRCODE = 'check_violation'; END IF;
INSERT INTO pa_lot (order_id, sharer_id, role, currency, shop_id, {_LOT_COLUMNS})
  SELECT t.order_id, t.sharer_id, t.role, t.currency, t.shop_id, {cases} FROM {joined}
  GROUP BY t.order_id, t.sharer_id, t.role, t.currency, t.shop_id
  ON CONFLICT (order_id, sharer_id, role, currency) DO UPDATE SET {_LOT_ADD};
RETURN NULL; END $$"""


def names(dialect: str) -> set[str]:
    """Return the names of the triggers that must be there; doctor and check-books look for them."""
    statements = sqlite() if dialect == "sqlite" else postgresql()
    return {words[2] for words in (statement.split() for statement in statements) if words[1] == "TRIGGER"}


def refuses(error: Exception) -> bool:
    """Tell whether a database error is one of these refusals (the transaction was about to break the books)."""
    return any(text in str(error) for text in ("no such edge", "more than is payable", "pa_account: "))
