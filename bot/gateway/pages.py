"""The chat's pages: read once, served with strict headers, never made from what anybody wrote."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bot.assistant import Assistant
from bot.channels import notice
from vault.errors import BadInput, StartRefused

FOLDER = Path(__file__).resolve().parent.parent / "channels" / "pages"
EMBEDDED = "widget.js"
"""The one file that pages of other origins load."""
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")


def origins_of(text: str) -> tuple[str, ...]:
    """Origins separated by spaces, each scheme, host and port as a browser writes it. Raises `BadInput`."""
    origins = tuple(text.split())
    for each in origins:
        if not _ORIGIN.fullmatch(each):
            raise BadInput(
                "an origin is a scheme, a host in small letters and a port where it is not the usual one",
                remedy="write it like https://www.example.org, without a path",
            )
    return origins


class Pages:
    """`sites`: the origins whose pages may embed the chat. `demo`: also serves a page of a site that does, at `/`."""

    def __init__(self, assistant: Assistant, *, origins: Sequence[str], sites: Sequence[str], demo: bool) -> None:
        self._assistant = assistant
        # An IPv6 address is no source that a policy can name; there, as with all that browsers of today do, 'self' covers the socket.
        sockets = " ".join(re.sub("^http", "ws", each) for each in origins if "[" not in each)
        ancestors = " ".join(("'self'", *sites))
        self._chat = {
            "content-security-policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
                "require-trusted-types-for 'script'; trusted-types 'none'; "  # nothing said can become a script, whatever the page does
                f"connect-src 'self' {sockets}; frame-ancestors {ancestors}"
            )
        }
        self._demo = demo
        if not (FOLDER / "chat.html").is_file():
            raise StartRefused(f"the chat's pages are not in {FOLDER}", remedy="install the program again")

    def routes(self) -> list[BaseRoute]:
        found = [
            _static(file, {"cross-origin-resource-policy": "cross-origin"} if file.name == EMBEDDED else {})
            for file in sorted(FOLDER.iterdir())
            if file.suffix in _TYPES
        ]
        pages: list[BaseRoute] = [
            *found,
            _served("/chat", (FOLDER / "chat.html").read_bytes(), "text/html; charset=utf-8", self._chat),
            _served("/notice.css", notice.STYLE.encode(), _TYPES[".css"], {}),
            Route("/notice", _quick(self._notice)),
        ]
        if self._demo:
            # This page stands for one of the town's own site, which has its own policy; it holds nothing that anybody wrote.
            policy = {
                "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; frame-src 'self'"
            }
            pages.append(_served("/", (FOLDER / "host.html").read_bytes(), "text/html; charset=utf-8", policy))
        else:
            pages.append(Route("/", _quick(lambda _: RedirectResponse("/chat", 307))))
        return pages

    def _notice(self, request: Request) -> Response:
        language = notice.spoken(self._assistant, request.query_params.get("language"))
        policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        return Response(
            notice.page(self._assistant, language),
            media_type="text/html; charset=utf-8",
            headers={"content-security-policy": policy, "content-language": language},
        )


def _static(file: Path, headers: dict[str, str]) -> Route:
    return _served(f"/{file.name}", file.read_bytes(), _TYPES[file.suffix], headers)


def _served(path: str, body: bytes, media_type: str, headers: dict[str, str]) -> Route:
    """A file as it was at the start. `no-cache`: a browser keeps it and asks whether it changed."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    named = {"etag": tag, "cache-control": "no-cache", **headers}

    def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=named)
        return Response(body, media_type=media_type, headers=named)

    return Route(path, _quick(answer))


def _quick(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """In the event loop: a plain function would be given a thread of its own."""

    async def answered(request: Request) -> Response:
        return answer(request)

    return answered
