"""/healthz and /metrics over HTTP, for whoever watches over the server. Neither has a secret."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import AF_INET, AF_INET6
from types import TracebackType
from typing import Any

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.serving.metrics import CONTENT_TYPE
from mpcc.runtime.transport.address import Address

_REQUEST_SECONDS = 5.0
_THREADS = 4

Page = Callable[[], tuple[HTTPStatus, str, bytes]]
"""Status, content type and content."""


class StatusServer:
    """Answers while its block runs. An empty host is this machine alone."""

    def __init__(self, address: Address, health: Callable[[], str], metrics: Callable[[], bytes]) -> None:
        """`health` says why no session can be served, or nothing. Raises MPC-R001."""

        def healthz() -> tuple[HTTPStatus, str, bytes]:
            problem = health()
            status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
            return status, "text/plain; charset=utf-8", f"{problem or 'ok'}\n".encode()

        pages: dict[str, Page] = {
            "/healthz": healthz,
            "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE, metrics()),
        }
        try:
            self._server = _Server(Address(address.host or "127.0.0.1", address.port), pages)
        except OSError as error:
            raise MpccError(
                "MPC-R001",
                f"cannot listen on {address}: {error.strerror or 'address not usable'}",
                remedy="give another address with --status",
            ) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="status", daemon=True)

    def __enter__(self) -> StatusServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(HTTPServer):
    """Few threads: a slow reader keeps one for as long as `_REQUEST_SECONDS`."""

    def __init__(self, address: Address, pages: dict[str, Page]) -> None:
        self.address_family = AF_INET6 if ":" in address.host else AF_INET
        self.pages = pages
        self._threads = ThreadPoolExecutor(_THREADS, "status")
        super().__init__((address.host, address.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._threads.submit(self._answer, request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked is gone."""

    def server_close(self) -> None:
        super().server_close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answer(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    timeout = _REQUEST_SECONDS
    server: _Server

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path)
        status, content_type, content = page() if page else (HTTPStatus.NOT_FOUND, "text/plain", b"")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Not logged."""
