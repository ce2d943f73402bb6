"""What every page has: a language, a look, headers that let nothing foreign run, and errors that say what to do."""

import gzip
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, current_app, g, make_response, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule
from werkzeug.wrappers import Response as BaseResponse

from admin_ui import access
from plugin.database import raise_if_unavailable
from plugin.domain.money import format_minor
from plugin.errors import NotFound, PluginError, Sentence, Unavailable
from plugin.languages import LANGUAGES, choose, formats, mark, texts
from plugin.languages.kept import find

LANGUAGE_COOKIE = access.Cookie("passalong_language", "/", 365 * 86_400)
# Everything comes from here but the pictures of products, which shops keep wherever they like. CSP Level 3.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
Answer = str | tuple[str, int] | BaseResponse
View = Callable[..., Answer]
_PACKED_FROM = 1_000  # bytes; less than that fits into one packet as it is
_PACKING = 6  # a level more costs time and gains next to nothing on a page
_KEPT_DEPTH_MAX = 4  # sentences within sentences; deeper than any of ours, and a hostile text goes no deeper
_WITHOUT_BLANKS = ("zh-Hant", "zh-Hans", "ja")
_log = logging.getLogger(__name__)
_SAID: dict[str, str] = {}


def init_app(app: Flask) -> None:
    """Teach the templates to speak and to write amounts and times."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(gettext, ngettext, newstyle=True, pgettext=pgettext)  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        money=_money, minor=_minor, date=_date, day=_day, moment=_moment, ago=_ago, number=_number, percent=_percent,
        month=_month, sentence=sentence, kept=kept,
    )
    app.jinja_env.globals.update(
        blank=_blank,
        form_token=_form_token,
        language_address=_language_address,
        language_options=[(one.tag, one.name) for one in LANGUAGES.values()],
        languages=LANGUAGES,
    )


# --- speaking -------------------------------------------------------------------------------------------------------


def language() -> str:
    """Return the tag of the language of this request: the one that was chosen, else the account's, else the browser's.

    A page sets ``g.locale`` to the account's as soon as it knows who is there.
    """
    if "language" not in g:
        chosen = request.cookies.get(LANGUAGE_COOKIE.name)
        kept = chosen if chosen in LANGUAGES else g.get("locale")
        g.language = choose([(kept, 1.0)] if kept else request.accept_languages)
    tag: str = g.language
    return tag


def gettext(text: str) -> str:
    """Return a text in the language of this request."""
    return texts(language()).gettext(text)


def ngettext(one: str, many: str, count: int) -> str:
    """Return the form of a text that fits a number."""
    return texts(language()).ngettext(one, many, count)


def pgettext(meaning: str, text: str) -> str:
    """Return a text that means different things in different places."""
    return texts(language()).pgettext(meaning, text)


def _blank() -> str:
    """Return what stands between two sentences: a blank, but nothing in languages that are written without any."""
    return "" if language() in _WITHOUT_BLANKS else " "


def sentence(text: str) -> str:
    """Return what an error says in the language of this request. What is filled in is text, never markup."""
    if not isinstance(text, Sentence):
        return gettext(text)
    return _filled(text, lambda value: sentence(value) if isinstance(value, Sentence) else value)


def kept(text: str) -> str:
    """Return a sentence that was kept as its English text in the language of this request; any other text as it is.

    What is filled in may be such a sentence again, and is text, never markup.
    """
    return _kept(text, _KEPT_DEPTH_MAX)


def _kept(text: str, depth: int) -> str:
    found = text if isinstance(text, Sentence) else find(text, language())
    if found is None or not depth:
        return text
    return _filled(found, lambda value: _kept(value, depth - 1) if isinstance(value, str) else value)


def _filled(made: Sentence, say: Callable[[object], object]) -> str:
    values = {name: say(value) for name, value in made.values.items()}
    return gettext(made.wording) % values if values else gettext(made.wording)


def chosen_language() -> Response | None:
    """Return the way back to the page where a language was just chosen (``?lang=``), else None."""
    tag = request.args.get("lang")
    if tag not in LANGUAGES or request.method != "GET":
        return None
    response = make_response(redirect(_here(lang=None), 303))
    access.set_cookie(response, LANGUAGE_COOKIE, tag)
    return response


def _language_address(tag: str) -> str:
    return _here(lang=tag, said=None)


def _here(**changes: str | None) -> str:
    """Return the address of this page, its query changed; of a form that was sent, that of the page it stands on.

    The query is whatever a visitor wrote, so none of its names may become one of ``url_for``'s own or of the rule's.
    """
    query = {name: value for name, value in (request.args.to_dict() | changes).items() if value is not None}
    rule = request.url_rule
    if rule is None:
        return "/"
    page = rule if "GET" in (rule.methods or ()) else _page_of(rule)
    about = {name: value for name, value in (request.view_args or {}).items() if name in page.arguments}
    path = url_for(page.endpoint, **about)
    tail = urlencode(query, safe="/")
    return f"{path}?{tail}" if tail else path


def _page_of(form: Rule) -> Rule:
    """Return the page that a form stands on, which has an address of its own: the nearest one at it or above it."""
    pages = {rule.rule.rstrip("/"): rule for rule in current_app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    path = form.rule.rstrip("/")
    while path not in pages:
        path = path.rpartition("/")[0]
    return pages[path]


# --- amounts and times ----------------------------------------------------------------------------------------------


def _zone() -> str:
    """Return the time zone of the shop the page is about."""
    zone: str = g.get("zone", "UTC")
    return zone


def _money(text: str, currency: str) -> str:
    return formats.amount(text, currency, language())


def _minor(minor: int, currency: str) -> str:
    return formats.amount(format_minor(minor, currency), currency, language())


def _number(value: int | str) -> str:
    return formats.number(value, language())


def _percent(rate: str | int) -> str:
    return formats.percent(rate, language())


def _date(at: int | str) -> str:
    return formats.date(at, _zone(), language())


def _day(at: int | str) -> str:
    return formats.day_and_month(at, _zone(), language())


def _moment(at: int | str) -> str:
    return formats.moment(at, _zone(), language())


def _month(text: str) -> str:
    return formats.month(text, language())


def _ago(at: int | str) -> str:
    return formats.ago(at, access.context().now(), language())


# --- showing --------------------------------------------------------------------------------------------------------


def said(code: str, text: str) -> str:
    """Register what a page says after something was done, a text marked for translation; return its code for go()."""
    _SAID[code] = text
    return code


def go(endpoint: str, *, code: str | None = None, **values: Any) -> Response:
    """Return the way to a page after something was done (RFC 9110, 303), where ``code`` says what it was."""
    return make_response(redirect(url_for(endpoint, **(values | ({"said": code} if code else {}))), 303))


def show(template: str, **values: Any) -> str:
    """Return a page, with what was done just before it."""
    told = _SAID.get(request.args.get("said", ""))
    return render_template(
        template,
        told=told and gettext(told),
        language=language(),
        current=_current,
        desk=g.get("desk"),
        **values,
    )


def _current(address: str) -> str | None:
    """Return the aria-current (WAI-ARIA) of a link in a menu: it leads here, or to what this page is a part of."""
    here = request.script_root + request.path
    if here == address:
        return "page"
    return "true" if here.startswith(f"{address}/") else None


def is_part() -> bool:
    """Tell whether a page asks for a part of itself; whoever opens the part's address is led to the page."""
    return "HX-Request" in request.headers


def csv_file(name: str, text: str) -> Response:
    """Return a file of comma-separated values (RFC 4180), with the mark by which spreadsheets know it for UTF-8."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(f"\ufeff{text}".encode(), headers=headers, content_type="text/csv; charset=utf-8; header=present")


def show_form(template: str, errors: Any = None, **values: Any) -> Answer:
    """Return a page with a form; one with ``errors`` by field is answered 422."""
    shown = show(template, errors=errors or {}, form=request.form, **values)
    return (shown, 422) if errors else shown


def opener(blueprint: Blueprint) -> Callable[..., Callable[[View], View]]:
    """Return what makes a view a page for whoever comes, before they are signed in. Its forms are as well guarded."""

    def open_page(rule: str, *, methods: Sequence[str] = ("GET",)) -> Callable[[View], View]:
        def decorate(view: View) -> View:
            @wraps(view)
            def answer(**values: Any) -> Any:
                if request.method == "POST":
                    access.require_own_form(holder())
                return finish(chosen_language() or view(access.context(), **values))

            blueprint.add_url_rule(rule, view.__name__, answer, methods=methods)
            return view

        return decorate

    return open_page


def nothing(anything: str) -> Any:
    """Answer for every address at which there is no page."""
    raise NotFound("not_found", "The page may have moved, or it belongs to somebody else.")


def finish(answer: Answer) -> Response:
    """Return an answer with the headers of a page; a visitor whose forms need telling apart is told apart."""
    response = make_response(answer)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    access.hand_out_cookies(response)
    return _packed(response)


def _packed(response: Response) -> Response:
    """Compress a page, but for requests that another site may have caused.

    Who can have our pages asked for with words of their own in them, and sees how long the answers are, learns from
    the lengths what else stands there (BREACH). The browser says who caused a request (W3C Fetch Metadata); one that
    does not say gets the page as it is.
    """
    response.vary.update(("Accept-Encoding", "Sec-Fetch-Site"))
    is_ours = request.headers.get("Sec-Fetch-Site") in ("same-origin", "none")
    if not is_ours or not request.accept_encodings["gzip"] or not (response.mimetype or "").startswith("text/"):
        return response
    content = response.get_data()
    if len(content) >= _PACKED_FROM:
        response.set_data(gzip.compress(content, _PACKING, mtime=0))
        response.content_encoding = "gzip"
    return response


def holder() -> str:
    """Return whose forms these are: the session's, or the visitor's where nobody is signed in."""
    if "holder" not in g:
        g.holder, is_new = access.visitor()
        if is_new:
            access.give_cookie(access.VISITOR_COOKIE, g.holder)
    found: str = g.holder
    return found


def _form_token() -> Markup:
    if "form_token" not in g:
        g.form_token = access.form_token(holder())
    return Markup('<input type="hidden" name="{}" value="{}">').format(access.FORM_FIELD, g.form_token)


# --- errors ---------------------------------------------------------------------------------------------------------

_TITLES: Mapping[int, str] = {
    403: mark("That is not allowed"),
    404: mark("There is nothing here"),
    405: mark("That does not work this way"),
    409: mark("That cannot be done now"),
    413: mark("That is too large"),
    422: mark("Something is not right"),
    429: mark("Too many attempts"),
    503: mark("Not available for the moment"),
}
_SENTENCES: Mapping[int, str] = {
    404: mark("The page may have moved, or it belongs to somebody else."),
    405: mark("Go back and use the buttons of the page."),
    413: mark("Send less at once."),
    422: mark("Go back, check what you wrote, and try again."),
    500: mark("It is our fault and written down in the log. Try again in a moment."),
    503: mark("The database cannot be reached. Try again in a moment."),
}


def answer_error(template: str) -> Callable[[Exception], Response]:
    """Return the error handler of a kind of pages, which shows errors by that template."""

    def answer(error: Exception) -> Response:
        status, told = _told(error)
        title = _TITLES.get(status, mark("Something went wrong"))
        page = show(template, status=status, title=gettext(title), sentence=told)
        response = finish((page, status))
        if status in (429, 503):
            response.headers["Retry-After"] = str(getattr(error, "fields", {}).get("seconds", 1))
        return response

    return answer


def _told(error: Exception) -> tuple[int, str]:
    """Return an error's status, and the sentence that says what to do."""
    if isinstance(error, DBAPIError):
        try:
            raise_if_unavailable(error)
        except Unavailable as unavailable:
            error = unavailable
    if isinstance(error, HTTPException):
        status = error.code or 500
        return status, gettext(_SENTENCES.get(422 if status == 400 else status, _SENTENCES[500]))
    if isinstance(error, PluginError) and error.status < 500:
        status = 403 if error.status == 401 else error.status
        return status, sentence(error.message)
    if isinstance(error, Unavailable):
        return 503, gettext(_SENTENCES[503])
    _log.error("a page failed", exc_info=error)
    return 500, gettext(_SENTENCES[500])
