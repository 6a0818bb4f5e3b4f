"""A report as one HTML page that needs nothing from outside: style and picture are in it, and there is no script.

Risk: a message may hold markup. Every text goes through Jinja's escaping, and the page's content security policy allows nothing but
its own style, by its hash: what slipped through all the same would neither run nor load.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from projections.report.document import Document


def render(document: Document) -> str:
    """The whole page."""
    style = _read("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return _template().render(document=document, say=document.words, style=style, policy=policy)


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_read("report.html"))


@cache
def _read(name: str) -> str:
    return files("projections.report").joinpath("templates", name).read_text("utf-8")
