"""Serves an app by waitress, in the process that also works, and stops without cutting an answer short."""

import logging
import time
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server

from plugin.errors import PluginError
from plugin.worker import Leaving

THREADS = 16
FINISH_SECONDS_MAX = 5.0
_BODY_BYTES_MAX = 64 * 1024 * 1024
_log = logging.getLogger(__name__)


class CannotListen(PluginError):
    """The address is taken, or not ours."""


class Server:
    """A listening server. It listens from the start, so that whoever is told its address can connect."""

    def __init__(self, app: Any, *, host: str, port: int, body_bytes_max: int, behind_proxy: bool) -> None:
        self._map: dict[int, Any] = {}
        try:
            self._server = create_server(
                app,
                map=self._map,
                host=host,
                port=port,
                threads=THREADS,
                ident=None,
                channel_timeout=60,
                connection_limit=500,
                # The app refuses what is too large, with a problem; this only bounds what is read to get there.
                max_request_body_size=max(2 * body_bytes_max, _BODY_BYTES_MAX),
                clear_untrusted_proxy_headers=not behind_proxy,
            )
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
            raise CannotListen(
                "cannot_listen", f"Cannot listen on {host}:{port}: {reason}. Choose another with --host and --port."
            ) from None
        self._listeners: list[Any] = [one for one in self._map.values() if isinstance(one, BaseWSGIServer)]

    @property
    def port(self) -> int:
        """Return the port, also where any free one was asked for."""
        return int(self._listeners[0].effective_port)

    def run(self, leaving: Leaving) -> None:
        """Serve until asked to leave; then take no more, and let those who are being answered have their answers."""
        while not leaving.asked:
            wasyncore.loop(timeout=0.5, use_poll=True, map=self._map, count=1)
        for listener in self._listeners:
            wasyncore.dispatcher.close(listener)  # the listening socket alone: the trigger is still needed
        end = time.monotonic() + FINISH_SECONDS_MAX
        while self._is_answering() and time.monotonic() < end:
            wasyncore.loop(timeout=0.05, use_poll=True, map=self._map, count=1)
        self._server.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(self._map, ignore_all=True)

    def _is_answering(self) -> bool:
        channels = (one for one in self._map.values() if isinstance(one, HTTPChannel))
        return any(channel.requests or channel.total_outbufs_len for channel in channels)
