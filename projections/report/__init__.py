"""Everything that is held on a person, opened, for them to read (GDPR Art. 15) or to take elsewhere (Art. 20).

`content` makes the JSON, which is the truth; `document` puts it into words of one language; `html`, `pdf` and `text` are made of
those. On the data's way this is the last step: the projection's sealed rows become what the desk shows and the person is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime

from projections.report.content import Asked, Report, digest, report
from projections.report.document import document
from projections.report.portable import portable
from projections.report.words import LANGUAGES

__all__ = ["FORMATS", "LANGUAGES", "Asked", "Report", "as_json", "digest", "rendered", "report", "taken"]

FORMATS = ("text", "json", "html", "pdf")

_ACTING = re.compile("[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def rendered(made: Report, format: str, language: str) -> bytes:
    """A report as a file of one of `FORMATS`, in one of `LANGUAGES`; JSON is the same in each."""
    if format == "json":
        return as_json(made.content).encode()
    # What a format needs takes longer to load than most reports to make.
    from projections.report import html, pdf, text  # noqa: PLC0415

    pages = document(made.content, language)
    if format == "pdf":
        return pdf.render(pages, datetime.fromisoformat(made.content["as_of"]))
    return (html.render(pages) if format == "html" else text.render(pages)).encode()


def taken(made: Report) -> bytes:
    """What the person provided, as JSON (Art. 20)."""
    return as_json(portable(made.content)).encode()


def as_json(content: Mapping[str, object]) -> str:
    """JSON that people can read too: a field a line, and of a list an item a line.

    Characters that act on a terminal are escaped, as JSON allows for any.
    """
    # Indenting the whole takes ten times as long, a third of making a report.
    fields = (f"  {json.dumps(name)}: {_lines(value)}" for name, value in content.items())
    text = "{\n" + ",\n".join(fields) + "\n}\n"
    return _ACTING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _lines(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"    {json.dumps(each, ensure_ascii=False)}" for each in value) + "\n  ]"
    return json.dumps(value, ensure_ascii=False)
