"""What Flask can do at most on the same server, with nothing of the product in it.

``redirect``: a constant 302. ``hmac_only``: the signature of a delivery is checked, and nothing is kept.
"""

import base64
import hmac
import os

from flask import Flask, Response, request

SECRET = bytes.fromhex(os.environ.get("BENCH_SECRET", ""))
TARGET = "https://shop.example.com/products/x"


def redirect() -> Flask:
    """Return the app of the click contest."""
    app = Flask(__name__)

    @app.get("/s/<code>")
    def constant(code: str) -> Response:
        return Response(status=302, headers={"Location": TARGET})

    return app


def hmac_only() -> Flask:
    """Return the app of the intake contest."""
    app = Flask(__name__)

    @app.post("/webhooks/<key>")
    def check(key: str) -> Response:
        body, headers = request.get_data(cache=False), request.headers
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
        good = hmac.compare_digest(expected, headers["webhook-signature"])
        return Response(b"ok" if good else b"", status=200 if good else 401)

    return app
