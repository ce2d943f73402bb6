"""Whether this process lives, whether it can do its work, and, for who has the token, what it counts."""

import hmac
import logging
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from plugin.errors import NotFound
from plugin.installation import EXTENSION, Installation, is_ready
from plugin.services.count_work import count_work

blueprint = Blueprint("health", __name__)
_REGISTRY = "passalong_metrics"
_log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Mount the three addresses; each app counts in a registry of its own."""
    registry = CollectorRegistry()
    registry.register(_Numbers(app.extensions[EXTENSION]))
    ProcessCollector(registry=registry)
    app.extensions[_REGISTRY] = registry
    app.register_blueprint(blueprint)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Say that the process answers."""
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, bool], int]:
    """Say whether database and queue can be had and the database stands at the newest migration."""
    installation: Installation = current_app.extensions[EXTENSION]
    parts = {"database": is_ready(installation.context.database), "queue": _reaches_queue(installation)}
    return parts, 200 if all(parts.values()) else 503


def _reaches_queue(installation: Installation) -> bool:
    try:
        installation.queue.ping()
    except Exception as error:  # each kind of queue has errors of its own
        _log.error("The queue is not ready: %s", type(error).__name__)
        return False
    return True


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return the numbers as Prometheus reads them; without the token there is nothing here."""
    installation: Installation = current_app.extensions[EXTENSION]
    token = installation.settings.metrics_token
    given = request.headers.get("Authorization", "").encode("utf-8", "replace")
    if not token or not hmac.compare_digest(given, f"Bearer {token}".encode()):
        raise NotFound("not_found", "There is nothing at this address.")
    registry: CollectorRegistry = current_app.extensions[_REGISTRY]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Numbers(Collector):
    """Reads the numbers when they are asked for: those of the database, and those this process counted."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def describe(self) -> list[Metric]:
        """Keep the registry from asking the database when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        installation = self._installation
        refused = CounterMetricFamily(
            "passalong_deliveries_refused", "Deliveries this process refused at the door", labels=["code"]
        )
        for code, count in sorted(installation.intake.refused.items()):
            refused.add_metric([code], count)
        yield refused
        yield CounterMetricFamily(
            "passalong_clicks_dropped", "Clicks this process could not record", value=installation.clicks.dropped
        )
        yield from self._of_database()

    def _of_database(self) -> Iterator[Metric]:
        try:
            counts = count_work(self._installation.context)
        except SQLAlchemyError:
            yield _gauge("passalong_database_up", "Whether the database could be asked", 0)
            return
        yield _gauge("passalong_database_up", "Whether the database could be asked", 1)
        inbox = GaugeMetricFamily("passalong_deliveries", "Deliveries that are not done, by state", labels=["state"])
        for state in ("stored", "waiting", "quarantined"):
            inbox.add_metric([state], getattr(counts, state))
        yield inbox
        yield _gauge("passalong_inbox_late_seconds", "Since when the oldest delivery is due", counts.late_seconds)
        yield CounterMetricFamily("passalong_transfers", "Transfers in the books", value=counts.transfers)
        yield CounterMetricFamily("passalong_events", "Events in the stream", value=counts.events)


def _gauge(name: str, text: str, value: Any) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
