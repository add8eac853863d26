"""Where alarms arrive on a laptop: each is a line for whoever watches."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_MOST_BYTES = 2**20
_SECONDS = 5.0


@contextmanager
def alarms(tell: Callable[[str], None]) -> Iterator[str]:
    """Take Alertmanager's webhooks inside, at the URL that is given, and tell each alarm in a line."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            if not 0 < size <= _MOST_BYTES:
                self.send_error(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE if size else HTTPStatus.BAD_REQUEST
                )
                return
            try:
                told = json.loads(self.rfile.read(size))["alerts"]
                lines = [line(alert) for alert in told]
            except (ValueError, KeyError, TypeError, AttributeError):
                self.send_error(HTTPStatus.BAD_REQUEST)
                return
            for text in lines:
                tell(text)
            self.send_response(HTTPStatus.OK)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """What arrives is told above."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="alarms", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join(_SECONDS)


def line(alert: Mapping[str, Any]) -> str:
    """An alarm in one line. Raises KeyError, AttributeError where it is none."""
    labels, notes = alert["labels"], alert.get("annotations", {})
    state = "over" if alert["status"] == "resolved" else labels.get("severity", "alarm")
    about = " ".join(filter(None, [labels["alertname"], labels.get("service", "")]))
    told = notes.get("summary", "")
    where = notes.get("runbook_url", "")
    return f"[{state}] {about}: {told}" + (f" ({where})" if where else "")
