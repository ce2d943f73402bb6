"""What others wrote stays text wherever it stands in a mail: no markup, no header, no line of its own."""

import pytest

from plugin.mails.letters import NAME_LENGTH_MAX, one_line
from tests.mails.post_office import PostOffice
from tests.world import LONG_AGO, World

NAMES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "</title></head><body><h1>Owned</h1>",
    "Mei\r\nBcc: eve@example.org",
    "Mei\nContent-Type: text/html\n\n<b>x</b>",
    "Mei\u2028Subject: x",
    "\u202egnp.exe",
    "{{ 7*7 }}{% raw %}",
    "%(shop)s %s %",
    "王小明 👩\u200d👩\u200d👧 ひ" * 30,
    "\x00\x1b[31m",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_names_and_reasons_are_shown_as_they_are_and_do_nothing(
    posting: World, office: PostOffice, name: str
) -> None:
    shop = posting.shop(name=name)
    shop.plan()
    body = {"shop": shop.key, "email": "mei@example.org", "name": name, "codes": ["MEI"], "since": LONG_AGO}
    if posting.response("POST", "/sharers", body).status_code != 201:  # the door takes no such name of a person
        posting.call("POST", "/sharers", body | {"name": "Mei"}, expect=201)
    shop.told(shop.order(codes=["MEI"]))
    posting.release()
    posting.work()
    payout = shop.step(shop.draft(), "approve")
    payout = shop.step(payout, "submit")
    shop.mark(payout, payout["items"][0], "failed", reason=name if name.isprintable() else "none")
    posting.work()
    mails = office.take()
    assert len(mails) == 3
    for mail in mails:
        assert sorted(mail.message.keys()).count("Subject") == 1
        assert mail.message["Bcc"] is None
        assert mail.recipients == ["mei@example.org"]
        assert mail.message.get_content_type() == "multipart/alternative"
        assert "script" not in mail.page.tags and "img" not in mail.page.tags
        assert mail.page.tags.count("h1") == mail.page.tags.count("title") == 1
        assert not any(mark in mail.subject + mail.html for mark in ("\u202e", "\u2028", "\x1b", "\x00"))
        assert all(link.startswith("http://127.0.0.1:8000/") for link in mail.page.links)
        assert any(one_line(name) in said for said in mail.page.said)
        lines = mail.text.splitlines()
        assert not any(line.startswith(("Bcc:", "Subject:", "Content-Type:")) for line in lines)


def test_a_name_is_one_line_of_what_can_be_seen() -> None:
    assert one_line("  Mei \r\n\t Lin\u00a0 ") == "Mei Lin"
    assert one_line("a\u200bb\ufeffc\u202ed") == "abcd"
    assert one_line("👩\u200d👩\u200d👧") == "👩\u200d👩\u200d👧"
    assert one_line("\ud800x") == "x"
    assert len(one_line("字" * 500)) == NAME_LENGTH_MAX
    assert one_line("字" * 500).endswith("…")
    assert one_line("字" * NAME_LENGTH_MAX) == "字" * NAME_LENGTH_MAX


def test_a_subject_in_another_script_is_written_so_that_every_server_takes_it(
    posting: World, office: PostOffice
) -> None:
    shop = posting.shop(name="茶" * 60)
    shop.plan()
    shop.sharer("mei", codes=["MEI"], locale="ja")
    shop.told(shop.order(codes=["MEI"]))
    posting.release()
    posting.work()
    mail = office.take()[1]
    head = mail.raw.split(b"\r\n\r\n", 1)[0]
    assert head.isascii() and max(len(line) for line in head.split(b"\r\n")) <= 78
    assert mail.raw.isascii() and max(len(line) for line in mail.raw.split(b"\r\n")) <= 998
    assert mail.subject == f"{'茶' * 60}のコミッションが確定しました"
