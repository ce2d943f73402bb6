"""Shops to be visited by a browser: pages of the shape that real ones have, and a cart that keeps what it is told.

The pages are after Shopify's Dawn theme (product and cart) and WooCommerce's classic and block checkout: what the
script meets there is alike, the rest is left out. The block checkout's store and jQuery's events are played by a few
lines.
"""

import json
import sys
import threading
from collections.abc import Mapping
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

DAWN = """<script>
  window.Shopify = window.Shopify || {};
  Shopify.shop = "tea.myshopify.com"; Shopify.locale = "en"; Shopify.routes = {root: "ROOT"};
</script>"""
PRODUCT = """<main id="MainContent" class="content-for-layout focus-none" role="main">
<product-form class="product-form"><form method="post" action="/cart/add" class="form" data-type="add-to-cart-form">
<input type="hidden" name="id" value="41">
<button type="submit" name="add" class="product-form__submit">Add to cart</button>
</form></product-form></main>"""
CART = """<main id="MainContent"><cart-items class="gradient">
<form action="/cart" class="cart__contents" method="post" id="cart">
<input type="number" name="updates[]" value="1"></form></cart-items>
<button type="submit" id="checkout" class="cart__checkout-button button" name="checkout" form="cart">Check out</button>
</main>"""

# jQuery's own events are no events of the browser; this is what the script uses of it.
JQUERY = """<script>
  window.jQuery = (element) => ({
    on(name, told) { (jQuery.told[name] = jQuery.told[name] || []).push(told); return this; },
    trigger(name) { (jQuery.told[name] || []).forEach((one) => one({type: name})); return this; }
  });
  jQuery.told = {};
</script>"""
CLASSIC_FORM = """<form name="checkout" method="post" class="checkout woocommerce-checkout" action="/checkout/">
<input type="text" name="billing_first_name" value="A">
<div id="order_review" class="woocommerce-checkout-review-order"><div id="payment" class="woocommerce-checkout-payment">
<input type="hidden" name="woocommerce-process-checkout-nonce" value="n">
<button type="submit" name="woocommerce_checkout_place_order" id="place_order">Place order</button>
</div></div></form>"""
CLASSIC = f"""{JQUERY}<div class="woocommerce" id="shop">{CLASSIC_FORM}</div>"""
# The registry answers nothing for a store that is not there.
BLOCK = """<div class="wp-block-woocommerce-checkout alignwide wc-block-checkout"><form class="wc-block-checkout__form">
<button type="button" class="wc-block-components-checkout-place-order-button">Place Order</button></form></div>
<script>
  window.extensions = {};
  const store = {METHOD(namespace, data, replace) {
    extensions[namespace] = Object.assign({}, replace ? {} : extensions[namespace], data);
  }};
  window.wp = {data: {dispatch: (name) => name === "wc/store/checkout" ? store : undefined}};
  document.querySelector("button").addEventListener("click", () => fetch("/wp-json/wc/store/v1/checkout", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({extensions})
  }).then(() => { document.title = "placed"; }));
</script>"""
# WooCommerce has the registry on every block page, and the checkout's store on the checkout alone.
BLOCK_ELSEWHERE = "<main></main><script>window.wp = {data: {dispatch: () => undefined}};</script>"
# Of the WP Consent API what a page sees; the visitor's answer is in a cookie, as it is there.
CONSENT_API = """<script>
  const said = () => (/wp_consent_marketing=(\\w+)/.exec(document.cookie) || [])[1];
  window.wp_has_consent = (category) => category === "marketing" && said() === "allow";
  window.wp_set_consent = (category, value) => {
    document.cookie = `wp_consent_${category}=${value}; path=/`;
    document.dispatchEvent(new CustomEvent("wp_listen_for_consent_change", {detail: {[category]: value}}));
  };
</script>"""
# Shopify's API of consent: loaded on demand; what a visitor said is kept by Shopify, here in a cookie.
PRIVACY_API = """<script>
  const said = (purpose) => new RegExp(purpose + "=yes").test(document.cookie);
  Shopify.loadFeatures = function (features, done) {
    if (this !== Shopify || features[0].name !== "consent-tracking-api") throw new Error("not how Shopify is asked");
    Shopify.loads = (Shopify.loads || 0) + 1;
    setTimeout(() => {
      Shopify.customerPrivacy = {
        analyticsProcessingAllowed: () => said("analytics"), marketingAllowed: () => said("marketing"),
        setTrackingConsent(consent, done) {
          for (const purpose in consent) document.cookie = `${purpose}=${consent[purpose] ? "yes" : "no"}; path=/`;
          document.dispatchEvent(new CustomEvent("visitorConsentCollected", {detail: consent}));
        }
      };
      done(false);
    });
  };
</script>"""


class StubShop:
    """A shop at an address of its own. ``pages`` are bodies by path; ``told`` is all that was sent to it, in order."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.faults: dict[str, str] = {}  # what a path answers instead of doing what it is asked
        self.head = ""
        self.policy = ""
        self.language = "en"
        self.script = ""  # the tag that loads the script, or nothing
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[str] = []
        self.carts: dict[str, dict[str, Any]] = {}
        self.cookie_flags = ""
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"shop": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return the shop's address, of another host than Passalong's."""
        return f"http://localhost:{self._server.server_port}"

    def close(self) -> None:
        """Close the shop."""
        self._server.shutdown()
        self._server.server_close()

    def load(self, address: str, **attributes: str) -> None:
        """Put the tag of the script into every page, as the documents tell an owner to."""
        more = "".join(f' {name.replace("_", "-")}="{escape(text)}"' for name, text in attributes.items())
        self.script = f'<script src="{escape(address)}" defer{more}></script>'

    def page(self, path: str) -> str | None:
        """Return a page as a browser gets it."""
        body = self.pages.get(path)
        if body is None:
            return None
        head = f"<head><title>{path}</title>{self.head}{self.script}</head>"
        return f'<!doctype html>\n<html lang="{self.language}">{head}<body>{body}</body></html>'

    def puts(self) -> list[str]:
        """Return the values that the carts were told, in order."""
        return [body["attributes"]["_pa"] for path, body in self.told if path.endswith("/cart/update.js")]

    def update(self, cookie: str | None, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Do what ``cart/update.js`` does: merge the attributes; an empty one goes. Return the cart's token and it."""
        token = cookie if cookie in self.carts else f"Z2NwLX{len(self.carts)}"
        cart = self.carts.setdefault(token, {"attributes": {}})
        attributes = cart["attributes"] | body.get("attributes", {})
        cart["attributes"] = {name: text for name, text in attributes.items() if text}
        return token, cart


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that hung up because its visitor went on."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    shop: StubShop
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a small answer waits for the acknowledgement of its headers

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path != "/settled":
            self.shop.asked.append(path)
        if path in self.shop.faults:
            return self._answer(200, self.shop.faults[path])
        page = self.shop.page(path)
        if page is not None:
            policy = {"Content-Security-Policy": self.shop.policy} if self.shop.policy else {}
            return self._answer(200, page, "text/html; charset=utf-8", policy)
        if path.endswith("/cart.js"):
            cookie = self._cookie()
            cart = self.shop.carts.get(cookie or "", {"attributes": {}})
            return self._answer(200, json.dumps({"token": cookie or "new", "items": [], **cart}))
        if path == "/settled":
            return self._answer(200, str(len(self.shop.asked) + len(self.shop.told)))
        return self._answer(204 if path == "/favicon.ico" else 404, "")

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if path in self.shop.faults:
            self.shop.asked.append(path)
            return self._answer(200, self.shop.faults[path])
        is_json = self.headers["Content-Type"] == "application/json"
        body = json.loads(raw) if is_json else {name: ",".join(all_) for name, all_ in parse_qs(raw.decode()).items()}
        self.shop.told.append((path, body))
        if path.endswith("/cart/update.js"):
            token, cart = self.shop.update(self._cookie(), body)
            cookie = {"Set-Cookie": f"cart={token}; path=/; SameSite=Lax{self.shop.cookie_flags}"}
            return self._answer(200, json.dumps({"token": token, "items": [], **cart}), headers=cookie)
        if is_json:
            return self._answer(200, "{}")
        return self._answer(200, "<title>placed</title>", "text/html")

    def _cookie(self) -> str | None:
        cookies = dict(one.strip().partition("=")[::2] for one in self.headers.get("Cookie", "").split(";"))
        return cookies.get("cart")

    def _answer(
        self, status: int, body: str, kind: str = "application/json", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response_only(status)
        for name, text in {"Content-Type": kind, "Content-Length": str(len(body.encode())), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        """Say nothing."""
