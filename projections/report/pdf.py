"""A report as PDF/UA-1 by Typst: tagged, with language, title, bookmarks and numbered pages.

Risks and what removes them. A message may hold markup: people's text goes into the typesetter as data only, never into its source.
Typst downloads what a source imports from `@preview`: our one template imports nothing. An error of Typst quotes the text it stumbled
over: it is not passed on. PDF/UA allows no sign that no font has: such signs are shown by their number and name.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import asdict
from datetime import datetime
from functools import cache
from importlib.resources import files
from threading import Lock
from typing import Any

import typst

from projections.report.document import Document
from vault.errors import BadInput

RUN_MAX = 40
"""Characters without a space after which a line may be broken."""
ATTEMPTS_MAX = 5

_UNUSUAL = re.compile("[^\x00-\x7e\u00a1-\u00ac\u00ae-\u017f\u2010-\u2014\u2018-\u201e\u2022\u2026\u20ac\u2588\u200b]")
"""What the built-in fonts may lack."""
_JOINING = frozenset({"Mn", "Mc", "Me", "Cf"})
"""Categories of marks and joiners, which make one sign of several."""
_RUN = re.compile(rf'[^\s"\\]{{{RUN_MAX}}}')
_MISSING = re.compile(r'(?:the text|disallowed codepoint) `"(.+?)"`', re.DOTALL)
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")


def render(document: Document, as_of: datetime) -> bytes:
    """The whole PDF; `as_of` is written into it as the time of its making, so that the same report is the same file."""
    pages: dict[str, Any] = {
        "language": document.language,
        "title": document.title,
        "as_of": document.as_of,
        "contents": document.words("document", "contents"),
        "colon": document.words("document", "colon"),
        "page": document.words("document", "page"),
        "sections": [asdict(section) for section in document.sections],
    }
    picture = ""
    for section in pages["sections"]:
        for block in section["blocks"]:
            picture = block.pop("svg", picture)
    # As JSON it is one text, in which signs can be replaced and runs be broken without touching its form.
    said = _RUN.sub("\\g<0>\u200b", json.dumps(pages, ensure_ascii=False))
    missing = _SIGNS.missing(said)
    unusual = set(_UNUSUAL.findall(said))
    joining = {sign for sign in unusual if unicodedata.category(sign) in _JOINING}
    # A sign that exists alone may be wanting where it is joined to another: then all that join go, and at last all but letters.
    for replaced in (missing, joining, unusual):
        missing |= replaced
        for _ in range(ATTEMPTS_MAX):
            inputs = {"report": said.translate({ord(sign): _named(sign) for sign in missing}), "picture": picture}
            try:
                return _compiled(_read("report.typ"), inputs, as_of.replace(microsecond=0))
            except typst.TypstError as error:
                found = _stumbled_over(error) - missing
            if not found:
                break
            missing |= found
    raise BadInput("the report could not be typeset", remedy="take it as HTML or JSON") from None


class _Signs:
    """Which signs no font has. Found out by asking the typesetter for each alone, once a process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked: set[str] = set()
        self._missing: set[str] = set()

    def missing(self, text: str) -> set[str]:
        """The signs of a text that no font has."""
        signs = set(_UNUSUAL.findall(text))
        with self._lock:
            left, missing = signs - self._asked, signs & self._missing
        new: set[str] = set()
        for _ in range(ATTEMPTS_MAX):
            if not left - new:
                break
            try:
                _compiled(_PROBE, {"signs": json.dumps(sorted(left - new))}, None)
                break
            except typst.TypstError as error:
                found = _stumbled_over(error) - new
            if not found:
                break
            new |= found
        with self._lock:
            self._asked |= left
            self._missing |= new
        return missing | new


def _stumbled_over(error: typst.TypstError) -> set[str]:
    """The unusual signs that an error names."""
    return {sign for text in _MISSING.findall(error.diagnostic) for sign in _UNUSUAL.findall(_unescaped(text))}


def _unescaped(text: str) -> str:
    """A text that Typst's errors quote, as it was."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)


def _named(sign: str) -> str:
    return f"[U+{ord(sign):04X} {unicodedata.name(sign, '')}".rstrip() + "]"


_SIGNS = _Signs()
_PROBE = b"""#set document(title: "signs")
#for sign in json(bytes(sys.inputs.signs)) { text(sign) + h(1pt) }"""


def _compiled(source: bytes, inputs: dict[str, str], as_of: datetime | None) -> bytes:
    return typst.compile(
        source, font_paths=_fonts(), format="pdf", sys_inputs=inputs, pdf_standards=["ua-1"], timestamp=as_of
    )


@cache
def _fonts() -> typst.Fonts:
    """The built-in fonts and the machine's: scripts that the former lack are set if the latter have them."""
    return typst.Fonts(include_system_fonts=True)


@cache
def _read(name: str) -> bytes:
    return files("projections.report").joinpath("templates", name).read_bytes()
