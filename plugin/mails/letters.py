"""The letters, one function for each: what is said to whom. They know no database, and no markup."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from plugin.languages import formats, texts

NAME_LENGTH_MAX = 80
_JOINER = "\u200d"  # holds some emoji together; all other invisible marks only serve to deceive
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})

Amount = tuple[int, str]  # minor units, currency


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says, above and below a small table; ``notes`` is the small print."""

    sender: str
    subject: str
    lines: Sequence[str]
    greeting: str | None = None
    rows: Sequence[tuple[str, str]] = ()
    after: Sequence[str] = ()
    button: tuple[str, str] | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Week:
    """What an owner is told of a week; amounts by currency."""

    start: int
    end: int
    sales: Sequence[Amount]
    orders: int
    commission: Sequence[Amount]
    new_sharers: int
    to_approve: int
    held: Sequence[Amount]
    payable: Sequence[Amount]
    unread: int

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to say."""
        return not (
            self.sales
            or self.orders
            or self.commission
            or self.new_sharers
            or self.to_approve
            or self.held
            or self.payable
            or self.unread
        )


def one_line(text: str) -> str:
    """Return what somebody wrote as part of one line: no breaks, no invisible marks, no more than a line holds."""
    seen = "".join(
        " " if mark.isspace() else mark
        for mark in text
        if mark.isspace() or mark == _JOINER or unicodedata.category(mark) not in _UNSEEN
    )
    short = " ".join(seen.split())
    return short if len(short) <= NAME_LENGTH_MAX else f"{short[: NAME_LENGTH_MAX - 1].rstrip()}…"


class Voice:
    """Writes letters of a shop in a language; times are those of the shop's zone."""

    def __init__(self, tag: str, shop: str, zone: str, *, name: str | None = None) -> None:
        self._tag, self._zone = tag, zone
        self._shop, self._name = one_line(shop), one_line(name or "")
        self._say = texts(tag)

    def invitation(self, address: str, *, ends_at: int) -> Letter:
        """Somebody is invited to share."""
        say, shop = self._say, {"shop": self._shop}
        until = {"date": self._date(ends_at)}
        return self._letter(
            say.gettext("%(shop)s invites you to recommend it") % shop,
            say.gettext(
                "You like what %(shop)s sells? Recommend it to your friends by a link of your own. When they buy, you"
                " earn a commission."
            )
            % shop,
            button=(say.gettext("Join"), address),
            notes=(
                say.gettext("The button works once, until %(date)s. If you would rather not join, ignore this mail.")
                % until,
            ),
        )

    def team_invitation(self, address: str, *, ends_at: int) -> Letter:
        """Somebody is invited to run the shop with others."""
        say, shop = self._say, {"shop": self._shop}
        until = {"date": self._date(ends_at)}
        return self._letter(
            say.gettext("You are invited to help run %(shop)s") % shop,
            say.gettext(
                "%(shop)s thanks the people who recommend it, with the help of Passalong. Choose a password, and you"
                " can begin."
            )
            % shop,
            button=(say.gettext("Set your password"), address),
            notes=(
                say.gettext("The button works once, until %(date)s. If you do not know what this is, ignore this mail.")
                % until,
            ),
        )

    def sign_in(self, address: str, *, ends_at: int) -> Letter:
        """A sharer wants to sign in."""
        say = self._say
        until = {"time": formats.time(ends_at, self._zone, self._tag)}
        return self._letter(
            say.gettext("Sign in at %(shop)s") % {"shop": self._shop},
            say.gettext("Here is the way to your links and your earnings."),
            button=(say.gettext("Sign in"), address),
            notes=(
                say.gettext(
                    "The button works once, until %(time)s. If you did not ask for it, ignore this mail: nobody gets in"
                    " without it."
                )
                % until,
            ),
        )

    def first_commission(self, address: str, *, amount: Amount, ready_at: int | None) -> Letter:
        """A sharer earned for the first time; ``ready_at`` is None for what is ready already."""
        say = self._say
        rows = [(say.gettext("Commission"), self._money(amount))]
        after = [say.gettext("Tell the shop how you would like to be paid, so that the money finds its way to you.")]
        if ready_at is not None:
            rows.append((say.gettext("Ready on"), self._date(ready_at)))
            after.insert(
                0,
                say.gettext(
                    "Until then the buyer may return something; the commission becomes smaller with what is returned."
                ),
            )
        return self._letter(
            say.gettext("Your first commission: %(amount)s") % {"amount": self._money(amount)},
            say.gettext("Somebody bought at %(shop)s because of you. Thank you for recommending it!")
            % {"shop": self._shop},
            rows=rows,
            after=after,
            button=(say.gettext("See your earnings"), address),
            notes=(self._why_sharer(),),
        )

    def ready(self, address: str, *, amounts: Sequence[Amount]) -> Letter:
        """Commission became payable; ``amounts`` is all that is payable now."""
        say = self._say
        return self._letter(
            say.gettext("Your commission from %(shop)s is ready") % {"shop": self._shop},
            say.gettext("The return period is over. This is yours, and part of the shop's next payout:"),
            rows=[(say.gettext("Ready to be paid"), self._money(amount)) for amount in amounts],
            button=(say.gettext("See your earnings"), address),
            notes=(self._why_sharer(),),
        )

    def paid(
        self, address: str, *, net: Amount, gross: Amount, withheld: Amount, fee: Amount, reference: str | None
    ) -> Letter:
        """A payout was made."""
        say = self._say
        rows = [(say.gettext("Paid"), self._money(net))]
        if net != gross:
            rows.insert(0, (say.gettext("Earned"), self._money(gross)))
        if fee[0]:
            rows.insert(1, (say.gettext("Fees"), self._money((-fee[0], fee[1]))))
        if withheld[0]:
            rows.insert(1, (say.gettext("Tax withheld"), self._money((-withheld[0], withheld[1]))))
        if reference:
            rows.append((say.gettext("Reference"), one_line(reference)))
        return self._letter(
            say.gettext("%(shop)s has paid you %(amount)s") % {"shop": self._shop, "amount": self._money(net)},
            say.gettext("The money is on its way. It may take your bank a few days."),
            rows=rows,
            button=(say.gettext("See your earnings"), address),
            notes=(self._why_sharer(),),
        )

    def payout_failed(self, address: str, *, net: Amount, reason: str | None) -> Letter:
        """A payout failed, or came back."""
        say = self._say
        return self._letter(
            say.gettext("The payment of %(amount)s did not reach you") % {"amount": self._money(net)},
            say.gettext(
                "%(shop)s tried to pay you, and it did not work. Nothing is lost: the money is in your balance again"
                " and comes with the next payout."
            )
            % {"shop": self._shop},
            rows=[(say.gettext("Reason"), one_line(reason))] if reason else (),
            after=(say.gettext("Please check what you told the shop about how to pay you."),),
            button=(say.gettext("Check how you are paid"), address),
            notes=(self._why_sharer(),),
        )

    def payout_way(self, address: str) -> Letter:
        """Where a sharer's money goes was changed."""
        say = self._say
        return self._letter(
            say.gettext("How you are paid was changed"),
            say.gettext("Somebody who signed in with your mail changed how %(shop)s pays you.") % {"shop": self._shop},
            after=(say.gettext("If it was you, there is nothing to do. If not, check it now and tell the shop."),),
            button=(say.gettext("Check how you are paid"), address),
            notes=(self._why_sharer(),),
        )

    def weekly_digest(self, address: str, *, week: Week) -> Letter:
        """How the week was, for those who run the shop."""
        say = self._say
        days = {
            "shop": self._shop,
            "first": formats.day_and_month(week.start, self._zone, self._tag),
            "last": formats.day_and_month(week.end, self._zone, self._tag),
        }
        rows = [
            *((say.gettext("Sales by recommendation"), self._money(amount)) for amount in week.sales),
            (say.gettext("Orders by recommendation"), formats.number(week.orders, self._tag)),
            *((say.gettext("Commission"), self._money(amount)) for amount in week.commission),
            (say.gettext("New sharers"), formats.number(week.new_sharers, self._tag)),
        ]
        return self._letter(
            say.gettext("%(shop)s from %(first)s to %(last)s") % days,
            say.gettext("This is what the people who recommend your shop brought last week:"),
            rows=rows,
            after=self._waiting(week),
            button=(say.gettext("Open Passalong"), address),
            notes=(say.gettext("You get this mail because you help run %(shop)s.") % {"shop": self._shop},),
        )

    def _waiting(self, week: Week) -> list[str]:
        """Say what waits for the owner, line by line."""
        say = self._say
        waiting = [
            (
                say.ngettext(
                    "%(count)s sharer waits to be approved.", "%(count)s sharers wait to be approved.", week.to_approve
                ),
                week.to_approve,
            ),
            (
                say.ngettext(
                    "%(count)s message of the shop could not be understood.",
                    "%(count)s messages of the shop could not be understood.",
                    week.unread,
                ),
                week.unread,
            ),
        ]
        lines = [text % {"count": formats.number(count, self._tag)} for text, count in waiting if count]
        lines += [
            say.gettext("%(amount)s is held until you have looked at it.") % {"amount": self._money(amount)}
            for amount in week.held
        ]
        lines += [
            say.gettext("%(amount)s is ready to be paid out.") % {"amount": self._money(amount)}
            for amount in week.payable
        ]
        return lines or [say.gettext("Nothing waits for you.")]

    def _letter(
        self,
        subject: str,
        line: str,
        *,
        rows: Sequence[tuple[str, str]] = (),
        after: Sequence[str] = (),
        button: tuple[str, str],
        notes: Sequence[str],
    ) -> Letter:
        greeting = self._say.gettext("Hello %(name)s,") % {"name": self._name} if self._name else None
        return Letter(self._shop, subject, (line,), greeting, rows, after, button, notes)

    def _why_sharer(self) -> str:
        return self._say.gettext("You get this mail because you recommend %(shop)s.") % {"shop": self._shop}

    def _money(self, amount: Amount) -> str:
        return formats.money(*amount, self._tag)

    def _date(self, at: int) -> str:
        return formats.date(at, self._zone, self._tag)
