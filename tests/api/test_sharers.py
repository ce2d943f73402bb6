"""Sharers over the API: enrolment, dated changes, balances, the statement."""



from tests.api.fed import FedShop, Installation

SHOWN = {
    "id", "person", "shop", "email", "name", "locale", "customer_id", "status", "group", "referred_by", "codes",
    "since", "created_at",
}  # fmt: skip


def test_enrol_shows_the_whole_sharer(installation: Installation, shop: FedShop) -> None:
    inviter = shop.sharer("inviter")
    body = {
        "shop": shop.key,
        "email": "Alice@Example.org",
        "name": "愛麗絲\u3000A",
        "codes": ["ALICE10"],
        "referred_by": inviter,
        "group": "gold",
        "locale": "zh-TW",
        "since": "2026-10-01T08:00:00+08:00",
        "customer_id": "c-7",
    }
    made = installation.call("POST", "/sharers", body, expect=201)
    assert made.keys() == SHOWN
    assert made == installation.call("GET", f"/sharers/{made['id']}", expect=200)
    told = {name: made[name] for name in body if name != "since"}
    assert told == {name: value for name, value in body.items() if name != "since"}
    assert (made["status"], made["since"]) == ("approved", "2026-10-01T00:00:00Z")


def test_enrol_with_the_least_there_can_be(installation: Installation, shop: FedShop) -> None:
    made = installation.call("POST", "/sharers", {"shop": shop.key, "email": "a@example.org"}, expect=201)
    assert (made["codes"], made["name"], made["group"], made["referred_by"]) == ([], None, None, None)


def test_one_person_in_two_shops_is_two_sharers(
    installation: Installation, shop: FedShop, other_shop: FedShop
) -> None:
    first, second = (installation.call("GET", f"/sharers/{one.sharer('alice')}") for one in (shop, other_shop))
    assert first["person"] == second["person"]
    assert first["id"] != second["id"]


TAKEN = [
    ({"email": "A.Lice+x@gmail.com", "codes": []}, "email_taken"),
    ({"email": "bob@example.org", "codes": [" alice10 "]}, "code_taken"),
]


def test_what_is_taken_conflicts(installation: Installation, shop: FedShop) -> None:
    shop.sharer("alice", email="alice@gmail.com", codes=["ALICE10"])
    for body, code in TAKEN:
        installation.refused("POST", "/sharers", {"shop": shop.key, "name": "n"} | body, status=409, code=code)


WRONG = [
    ("shop", "nope"),
    ("shop", None),
    ("shop", 7),
    ("email", "no-address"),
    ("email", "a" * 250 + "@b.example"),
    ("email", None),
    ("name", "x" * 256),
    ("name", "a\nb"),
    ("name", ["x"]),
    ("codes", "ALICE"),
    ("codes", ["x"] * 51),
    ("codes.0", [" "]),
    ("codes.1", ["fine", "ß" * 255]),
    ("referred_by", "shr_999"),
    ("referred_by", "per_1"),
    ("referred_by", "shr_99999999999999999999"),
    ("group", ""),
    ("locale", "zh-TW-and-much-more"),
    ("locale", "../../etc"),
    ("status", "king"),
    ("status", None),
    ("since", "yesterday"),
    ("since", "2026-01-01T00:00:00"),
    ("since", "9999-12-31T23:59:59Z"),
    ("since", 1),
    ("nickname", "unknown"),
]


def test_a_wrong_field_is_named(installation: Installation, shop: FedShop) -> None:
    for field, value in WRONG:
        body = {"shop": shop.key, "email": "a@example.org", "name": "A"} | {field.partition(".")[0]: value}
        told = installation.refused("POST", "/sharers", body, status=422, code="invalid")
        assert list(told["errors"]) == [field]


def test_an_inviter_of_another_shop_is_none(installation: Installation, shop: FedShop, other_shop: FedShop) -> None:
    stranger = other_shop.sharer("stranger")
    body = {"shop": shop.key, "email": "a@example.org", "name": "A", "referred_by": stranger}
    assert "referred_by" in installation.refused("POST", "/sharers", body, status=422, code="invalid")["errors"]


def test_a_change_counts_from_now_on_and_changes_nothing_decided(installation: Installation, shop: FedShop) -> None:
    alice, bob = shop.sharer("alice", codes=["A"]), shop.sharer("bob")
    before = shop.told(shop.order("1001", codes=["A"]))
    changed = installation.call(
        "PATCH", f"/sharers/{alice}", {"status": "suspended", "group": "gold", "referred_by": bob}, expect=200
    )
    assert (changed["status"], changed["group"], changed["referred_by"]) == ("suspended", "gold", bob)
    assert shop.see("1001") == before
    later = "2030-01-01T00:00:00Z"
    refused = shop.told(shop.order("1002", codes=["A"], placed_at=later, updated_at=later, paid_at=later))
    assert refused["commissions"] == []
    assert shop.receipt("1002")["evidence"][0]["reason"] == "sharer_suspended"
    installation.assert_books()


def test_null_takes_group_and_inviter_away(installation: Installation, shop: FedShop) -> None:
    bob = shop.sharer("bob")
    alice = shop.sharer("alice", group="gold", referred_by=bob)
    changed = installation.call("PATCH", f"/sharers/{alice}", {"group": None, "referred_by": None}, expect=200)
    assert (changed["group"], changed["referred_by"]) == (None, None)


def test_codes_are_replaced_and_given_on(installation: Installation, shop: FedShop) -> None:
    alice, bob = shop.sharer("alice", codes=["A", "B"]), shop.sharer("bob")
    installation.refused("PATCH", f"/sharers/{bob}", {"codes": ["a"]}, status=409, code="code_taken")
    assert installation.call("PATCH", f"/sharers/{alice}", {"codes": ["b", "C"]}, expect=200)["codes"] == ["B", "C"]
    assert installation.call("PATCH", f"/sharers/{bob}", {"codes": ["a"]}, expect=200)["codes"] == ["a"]


def test_a_change_of_a_sharer_who_begins_later_is_not_lost(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer("alice", since="2031-01-01T00:00:00Z")
    changed = installation.call("PATCH", f"/sharers/{alice}", {"status": "suspended"}, expect=200)
    assert changed["status"] == "suspended"


WRONG_CHANGES = [
    ({"status": None}, "status"),
    ({"email": "new@example.org"}, "email"),
    ({"referred_by": "shr_77"}, "referred_by"),
    ({"codes": None}, "codes"),
]


def test_a_wrong_change_is_named(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer()
    for body, field in WRONG_CHANGES:
        told = installation.refused("PATCH", f"/sharers/{alice}", body, status=422, code="invalid")
        assert list(told["errors"]) == [field]


def test_nobody_invites_themselves(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer()
    told = installation.refused("PATCH", f"/sharers/{alice}", {"referred_by": alice}, status=422, code="invalid")
    assert list(told["errors"]) == ["referred_by"]


def test_an_empty_change_changes_nothing(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer()
    before = installation.counts()
    installation.call("PATCH", f"/sharers/{alice}", {}, expect=200)
    assert installation.counts() == before


def test_the_list_goes_page_by_page_newest_first(installation: Installation, shop: FedShop) -> None:
    made = [shop.sharer(f"s{number}") for number in range(5)]
    found, cursor = [], ""
    while True:
        page = installation.call("GET", f"/sharers?shop={shop.key}&limit=2{cursor}", expect=200)
        found += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == made[::-1]


def test_balances_of_somebody_without_books_are_empty(installation: Installation, shop: FedShop) -> None:
    assert installation.call("GET", f"/sharers/{shop.sharer()}/balances", expect=200) == {"balances": []}


def test_balances_are_kept_by_currency(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer("alice", codes=["A"])
    shop.told(shop.order("1", codes=["A"]))
    shop.told(shop.order("2", codes=["A"], currency="JPY", lines=[{"id": "l", "quantity": 1, "amount": "1005"}]))
    shop.told(shop.order("3", codes=["A"], currency="TWD", lines=[{"id": "l", "quantity": 1, "amount": "1005"}]))
    balances = installation.call("GET", f"/sharers/{alice}/balances", expect=200)["balances"]
    assert [(one["currency"], one["pending"], one["earned"]) for one in balances] == [
        ("JPY", "100", "100"),
        ("TWD", "100.00", "100.00"),
        ("USD", "10.00", "10.00"),
    ]
    assert all(list(one) == ["currency", "pending", "held", "payable", "in_flight", "paid", "earned"]
               for one in balances)  # fmt: skip


def test_the_statement_is_newest_first_and_pages(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer("alice", codes=["A"])
    for number in range(3):
        shop.told(shop.order(str(number), codes=["A"]))
    refund = {"id": "r1", "amount": "50.00", "lines": []}
    shop.told(shop.order("0", codes=["A"], updated_at="2026-11-02T00:00:00Z", refunds=[refund]))
    first = installation.call("GET", f"/sharers/{alice}/transfers?limit=3", expect=200)
    rest = installation.call("GET", f"/sharers/{alice}/transfers?limit=3&cursor={first['next']}", expect=200)
    assert rest["next"] is None
    entries = first["items"] + rest["items"]
    assert [one["number"] for one in entries] == sorted((one["number"] for one in entries), reverse=True)
    assert [(one["kind"], one["from"], one["to"], one["amount"], one["order"]) for one in entries] == [
        ("take_back", "pending", "commission", "5.00", "0"),
        ("earn", "commission", "pending", "10.00", "2"),
        ("earn", "commission", "pending", "10.00", "1"),
        ("earn", "commission", "pending", "10.00", "0"),
    ]
    assert {(one["currency"], one["role"], one["payout_item"]) for one in entries} == {("USD", "direct", None)}


CURSORS = ["x", "-1", "1.2", "", "99999999999999999999", "٣"]


def test_a_foreign_cursor_is_refused(installation: Installation, shop: FedShop) -> None:
    alice = shop.sharer()
    for cursor in CURSORS:
        path = f"/sharers/{alice}/transfers?cursor={cursor}"
        assert "cursor" in installation.refused("GET", path, status=422, code="invalid")["errors"]
