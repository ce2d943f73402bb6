"""The doors of the shops: webhook deliveries come in here, are verified, stored and answered, and nothing more."""

from flask import Flask

from webhooks.views import blueprint


def init_app(app: Flask) -> None:
    """Mount the doors on an app whose ``extensions["passalong"]`` holds context and intake."""
    app.register_blueprint(blueprint)
