"""A real browser on a real chat: the site that embeds it, the wire between, which can be cut, and the person in front of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Frame, Locator, Page, expect, sync_playwright

from tests import services

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
HEAD_BYTES = 4_096
WAIT_MS = 30_000
"""For what is to be seen on a page; machines of tests are busy."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's browser. Ended before the next module's tests: while it is there, this thread can run no event loop of its own."""
    with sync_playwright() as playwright:
        expect.set_options(timeout=WAIT_MS)
        browser = playwright.chromium.launch(executable_path=services.browser(), args=services.BROWSER_ARGUMENTS)
        yield browser
        browser.close()


class Wire:
    """What lies between the browser and the gateway: passes bytes on, can be cut and mended, and may let no WebSocket through."""

    def __init__(self) -> None:
        self.sockets_pass = True
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.gateway_port = free_port()
        self._whole = True
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="wire", daemon=True).start()

    def cut(self) -> None:
        self._whole = False
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._whole = True

    def close(self) -> None:
        self.cut()
        with contextlib.suppress(OSError):  # wakes the thread that accepts
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(end,), name="wire", daemon=True).start()

    def _join(self, browser: socket.socket) -> None:
        with browser:
            head = browser.recv(HEAD_BYTES) if self._whole else b""
            if not head or (b"upgrade: websocket" in head.lower() and not self.sockets_pass):
                return
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.gateway_port)) as gateway:
                self._ends |= {browser, gateway}
                gateway.sendall(head)
                back = threading.Thread(target=_pass, args=(gateway, browser), name="wire", daemon=True)
                back.start()
                _pass(browser, gateway)
                back.join()
            self._ends.discard(browser)


def _pass(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while some := one.recv(65_536):
            other.sendall(some)
    for end in (one, other):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Site:
    """Somebody's site with the widget's line in it, of another origin than the chat. To a browser, `near` is of the chat's own site, as
    where a town has both below its name, and the chat may keep something; `far` is not, and the browser of these tests blocks its
    storage, as many do."""

    def __init__(self, chat_port: int) -> None:
        page = (
            '<!doctype html><html lang="fr"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            '<title>Mairie</title><link rel="icon" href="data:,">'
            f'<script src="http://127.0.0.1:{chat_port}/widget.js" data-colour="0b5cab" defer></script>'
            '<main><h1>Mairie</h1><p><a href="#horaires">Horaires</a></p></main></html>'
        ).encode()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                policy = f"default-src 'none'; img-src data:; script-src http://127.0.0.1:{chat_port}; frame-src http://127.0.0.1:{chat_port}"
                self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, format: str, *args: Any) -> None:
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.near = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.far = f"http://localhost:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="site", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def visiting(browser: Browser, address: str, **options: Any) -> Iterator[Visitor]:
    """Somebody who comes to a site with a browser that knows nothing yet."""
    with browser.new_context(locale="fr-FR", reduced_motion="reduce", **options) as context:
        yield Visitor(context.new_page(), address)


class Visitor:
    """A person in front of the site. `asked` are the addresses that the browser loaded, `complaints` what it said on its console."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(address)
        self.chat = page.frame_locator("iframe")
        self.launcher = page.get_by_role("button", name="discussion")

    @property
    def frame(self) -> Frame:
        self.chat.locator("#name").wait_for()
        return next(frame for frame in self.page.frames if "/chat" in frame.url)

    @property
    def field(self) -> Locator:
        return self.chat.get_by_role("textbox")

    def button(self, name: str) -> Locator:
        return self.chat.get_by_role("button", name=name, exact=True)

    def open(self) -> Visitor:
        self.launcher.click()
        return self

    def begin(self) -> Visitor:
        """Opens the chat, reads the notice and starts."""
        self.open()
        self.button("Commencer la discussion").click()
        return self

    def say(self, text: str) -> None:
        self.field.fill(text)
        self.field.press("Enter")

    def sees(self, text: str) -> None:
        """Waits for the assistant to have said it."""
        expect(self.messages("assistant").filter(has_text=text).first).to_be_visible()

    def messages(self, speaker: str) -> Locator:
        return self.chat.locator(f".{speaker} .text")

    def focus(self) -> str:
        """The id, class or tag of what has the focus in the chat."""
        focused: str = self.frame.evaluate(
            "(() => { const one = document.activeElement; return one.id || one.className || one.tagName; })()"
        )
        return focused

    def faults(self, *, of_site: bool = False) -> list[str]:
        """What axe finds against WCAG 2.2 AA and good practice."""
        found = Axe().run(self.page if of_site else self.frame, options={"runOnly": WCAG})  # type: ignore[arg-type]
        return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found.response["violations"]]
