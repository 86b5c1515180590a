"""The page and its files. All of them are ours or vendored: it works offline, and its policy lets nothing else in."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = Path(__file__).parent / "static"

# No inline scripts or styles, nothing from elsewhere. `data:` is for the small drawings inside pico.css.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Asked for again each time, and answered "not modified": a new version is there at the next reload.
_HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}


def page_router() -> APIRouter:
    router = APIRouter()

    @router.get("/", response_class=FileResponse, include_in_schema=False)
    async def show_the_page() -> Response:
        return FileResponse(STATIC / "index.html", headers=_HEADERS)

    return router


def static_files() -> ASGIApp:
    """To be mounted at /static."""
    return _WithHeaders(StaticFiles(directory=STATIC))


class _WithHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *ours]
            await send(message)

        await self._app(scope, receive, with_headers)
