"""The report as text, HTML and PDF: whatever somebody wrote is shown as they wrote it, and does nothing; both languages are whole."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tomllib
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
import typst
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.report import FORMATS, LANGUAGES, Report, pdf, rendered
from projections.report.document import document
from projections.report.faithful import REASONS
from projections.report.words import shown
from projections.worker import Projector
from tests.projections.conftest import START_US, turn
from tests.projections.reports import append, companion, declaration, joined, make, read_pdf, received
from tests.vault.conftest import Vault
from vault.interaction import Answered, Called, Corrected, MessageSent, Rated
from vault.keys import Unreadable

SCHEMAS = sorted((Path(__file__).resolve().parents[2] / "schemas").glob("*.avsc"))
HOSTILE = {
    "HTML": "<script>alert('x')</script><img src=x onerror=alert(1)> &amp; <!-- --> ]]> </style><style>*{display:none}",
    "Typst": '#import "@preview/example:0.1.0": * #read("/etc/passwd") *b* _i_ `c` $x$ <a> @b \\ = h // c /* d #eval("1")',
    "SVG": '<svg onload="alert(1)"><a xlink:href="javascript:alert(1)">x</a></svg>"/>',
    "Jinja": "{{ 7 * 7 }} {% raw %} {# x #} {number} {total} %s",
    "JSON": '","kind":"paragraph","text":"\\u0041\\n\\',
    "blanks": "null None undefined 0 false [] {} NaN",
    "long": "word " * 12_000,
    "unbroken": "x" * 60_000,
    "scripts": "Ελληνικά Кириллица العربية עברית",
}
COUNTED = {"long": ("word", 12_000), "unbroken": ("x", 60_000)}


class Page(HTMLParser):
    """An HTML page taken apart: its tags, its text, its headings."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.headings: list[int] = []
        self._raw = False
        self.style = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._raw = tag == "style"
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        self._raw = False

    def handle_data(self, data: str) -> None:
        if self._raw:
            self.style += data
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def html_of(found: Report, language: str = "en") -> Page:
    return Page(rendered(found, "html", language).decode())


def text_of(made: bytes) -> str:
    """A text report without the marks before what was said, and without where lines were broken."""
    return joined(made.decode().replace("\n    > ", ""))


@pytest.fixture
def rich(vault: Vault, projector: Projector) -> Report:
    """A report in which something stands under most headings."""
    vault.intake.receive([turn("visitor", n * 50_000, f"sentence {n}", entities=[]) for n in range(3)])
    interaction = make(vault, projector).content["interactions"][0]["interaction"]
    call = {"step": 0, "connector": "c", "operation": "book", "arguments": '{"day": 1, "phone": 2}'}
    append(vault, companion(vault, Called, interaction, recipient="appointments", **call))
    append(vault, companion(vault, Rated, interaction, score=5, remark="good"))
    append(vault, companion(vault, Corrected, interaction, field="text", value="another sentence"))
    append(vault, companion(vault, MessageSent, interaction, origin="agent", replies=[{"text": "an agent speaks"}]))
    return make(vault, projector, declaration=declaration())


# What people wrote


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_somebody_wrote_is_shown_as_they_wrote_it_in_every_format(
    vault: Vault, projector: Projector, kind: str
) -> None:
    vault.intake.receive([turn("visitor", 1)])
    append(vault, received(vault, HOSTILE[kind]))
    found = make(vault, projector)
    wanted = joined(HOSTILE[kind])
    assert json.loads(rendered(found, "json", "en"))["interactions"][1]["events"][0]["text"] == HOSTILE[kind]
    assert wanted in text_of(rendered(found, "text", "en"))
    assert wanted in joined(html_of(found).text)
    _, printed = read_pdf(rendered(found, "pdf", "en"))
    if kind == "scripts":  # the order of what is written from the right is a matter of the reader of a PDF
        assert all(each in printed for each in joined("Ελληνικά Кириллица"))
    elif kind in COUNTED:  # the foot of each page stands between its words
        part, count = COUNTED[kind]
        assert printed.count(part) >= count
    else:
        assert wanted in printed


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_that_somebody_wrote_becomes_part_of_the_page(vault: Vault, projector: Projector, kind: str) -> None:
    vault.intake.receive([turn("visitor", 1)])
    plain = html_of(make(vault, projector))
    words = HOSTILE[kind][:900]
    interaction = make(vault, projector).content["interactions"][0]["interaction"]
    append(vault, received(vault, HOSTILE[kind]))
    append(vault, companion(vault, MessageSent, interaction, origin=words, replies=[{"text": words}]))
    call = {"step": 0, "connector": words, "operation": words, "arguments": json.dumps({words: words})}
    append(vault, companion(vault, Called, interaction, recipient=words, **call))
    found = make(vault, projector)
    page = html_of(found)
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"table", "tr", "th", "td"}
    assert not page.all("script")
    known = {name for _, attributes in plain.tags for name in attributes}
    assert {name for _, attributes in page.tags for name in attributes} <= known
    assert rendered(found, "pdf", "en").startswith(b"%PDF-")


@pytest.mark.parametrize(
    "channel", ['"><script>alert(1)</script>', "\u202e\x1b[31m", "é中😀", "web <b>&amp;", "x" * 200]
)
def test_a_channel_s_name_cannot_draw_in_the_picture(vault: Vault, projector: Projector, channel: str) -> None:
    vault.intake.receive([turn("visitor", 1)])
    append(vault, received(vault, "words", channel=channel))
    found = make(vault, projector)
    page = html_of(found)
    assert not page.all("script")
    assert not page.all("b")
    assert len(page.all("svg")) == 1
    assert rendered(found, "pdf", "fr").startswith(b"%PDF-")


@pytest.mark.parametrize("format", ["text", "html", "pdf"])
def test_characters_that_act_are_shown_by_their_number(vault: Vault, projector: Projector, format: str) -> None:
    vault.intake.receive([turn("visitor", 1)])
    append(vault, received(vault, "a\x00b\x1b[31mc\x07d\x9be\u202ef\u2066g\u200bh\ufeffi\u2028j\U000e0041k\r\nl\tm"))
    made = rendered(make(vault, projector), format, "en")
    text = read_pdf(made)[1] if format == "pdf" else text_of(made)
    assert "a[U+0000]b[U+001B][31mc[U+0007]d[U+009B]e[U+202E]f[U+2066]g[U+200B]h[U+FEFF]i[U+2028]j[U+E0041]k" in text
    if format != "pdf":
        assert not set("\x00\x1b\x07\x9b\r\u202e\u2066\u200b\ufeff\u2028\U000e0041") & set(made.decode())


def test_json_for_a_terminal_holds_no_character_that_acts_and_reads_back_the_same(
    vault: Vault, projector: Projector
) -> None:
    text = "a\x00\x1b[31m\x9b\u202e\u2066\u200b\ufeff\u2028\x7fz"
    vault.intake.receive([turn("visitor", 1, text)])
    found = make(vault, projector)
    made = rendered(found, "json", "en").decode()
    assert json.loads(made) == found.content
    assert not [c for c in made if c != "\n" and shown(c) != c]


def test_joiners_and_line_ends_stay_because_words_need_them() -> None:
    assert shown("\u092e\u0938\u094d\u200d\u0924\n\u0645\u06cc\u200c\u062e\r\nend") == (
        "\u092e\u0938\u094d\u200d\u0924\n\u0645\u06cc\u200c\u062e\nend"
    )


@pytest.fixture
def built_in_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the typesetter's own fonts, whatever the machine has."""
    fonts = typst.Fonts(include_system_fonts=False)
    monkeypatch.setattr(pdf, "_fonts", lambda: fonts)
    monkeypatch.setattr(pdf, "_SIGNS", pdf._Signs())


@pytest.mark.usefixtures("built_in_fonts")
def test_signs_that_no_font_has_are_named_in_print_and_shown_on_the_page(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1, "before \U0001fae8 \ud7ff after \U0001f1eb\U0001f1f7")])
    found = make(vault, projector)
    _, printed = read_pdf(rendered(found, "pdf", "en"))
    assert "before[U+1FAE8" in printed
    assert "after" in printed
    assert "\U0001f1eb\U0001f1f7" in html_of(found).text


@pytest.mark.usefixtures("built_in_fonts")
def test_thousands_of_signs_that_no_font_has_are_named_all_the_same(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1)])
    append(vault, received(vault, "".join(map(chr, range(0x17000, 0x17000 + 6_000)))))
    _, printed = read_pdf(rendered(make(vault, projector), "pdf", "en"))
    assert "[U+18000" in printed


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(text=st.text(max_size=60) | st.text('\u0300\u0338\u20d2\u200d\ufe0f]"\\\u0d98\U0001f468\u05d0#$', max_size=60))
def test_nothing_that_can_be_written_keeps_a_report_from_being_made(rich: Report, text: str) -> None:
    received = rich.content["interactions"][0]["events"][0]
    received.update(text=text, sender=text)
    rich.content["timeline"][0]["channel"] = rich.content["interactions"][0]["channel"] = text
    for format in FORMATS:
        assert rendered(rich, format, "fr")


# The page


def test_the_page_needs_nothing_from_outside_and_allows_nothing(rich: Report) -> None:
    page = html_of(rich)
    for _, attributes in page.tags:
        assert not {"src", "srcset", "data", "poster", "background"} & set(attributes)
        assert str(attributes.get("href", "#")).startswith("#")
    assert not re.search(r"url\(|@import", page.style)
    assert not page.all("link")
    (policy,) = (each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not [attributes for _, attributes in page.tags if "style" in attributes]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_can_be_read_by_ear_and_by_keyboard(rich: Report, language: str) -> None:
    page = html_of(rich, language)
    assert page.all("html") == [{"lang": language}]
    assert [len(page.all(tag)) for tag in ("main", "header", "nav", "footer", "h1", "title")] == [1] * 6
    assert page.headings[0] == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert len(page.all("caption")) == len(page.all("table")) > 2
    assert all(each.get("scope") in ("col", "row") for each in page.all("th"))
    ids = [str(attributes["id"]) for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(each["href"])[1:] for each in page.all("a")} <= set(ids)
    assert any(attributes.get("role") == "img" and attributes.get("aria-label") for _, attributes in page.tags)
    assert "prefers-color-scheme: dark" in page.style
    assert "@media print" in page.style


# The PDF


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pdf_is_pdf_ua_with_language_title_bookmarks_and_numbered_pages(rich: Report, language: str) -> None:
    reader, text = read_pdf(rendered(rich, "pdf", language))
    pages = document(rich.content, language)
    root: Any = reader.trailer["/Root"]
    assert root["/Lang"] == language
    assert bool(root["/MarkInfo"]["/Marked"])
    assert bool(root["/ViewerPreferences"]["/DisplayDocTitle"])
    assert reader.metadata is not None
    assert reader.metadata.title == pages.title
    assert b"<pdfuaid:part>1</pdfuaid:part>" in root["/Metadata"].get_data()
    marks: list[Any] = [mark for mark in reader.outline if not isinstance(mark, list)]
    assert [mark.title for mark in marks] == [each.title for each in pages.sections if each.level == 1]
    assert any(isinstance(mark, list) for mark in reader.outline), "days stand below the conversations"
    total = len(reader.pages)
    for number, page in enumerate(reader.pages, 1):
        wanted = pages.words("document", "page", number=number, total=total)
        assert joined(wanted) in joined(page.extract_text())
    assert joined("sentence 2") in text


def test_the_summary_is_the_first_page_alone(rich: Report) -> None:
    reader, _ = read_pdf(rendered(rich, "pdf", "en"))
    assert "Summary" in reader.pages[0].extract_text()
    assert "Contents" in reader.pages[1].extract_text()


def test_the_same_report_is_the_same_file(rich: Report) -> None:
    assert all(rendered(rich, format, "fr") == rendered(rich, format, "fr") for format in FORMATS)


def test_the_typesetter_is_given_no_package_and_no_file() -> None:
    source = files("projections.report").joinpath("templates", "report.typ").read_text("utf-8")
    assert not re.search(r"#?\b(import|include|read|csv|yaml|toml|cbor|xml|plugin|eval)\b\s*[(\"]", source)
    assert "@preview" not in source + pdf._PROBE.decode()


# Both languages


def said_in(language: str) -> dict[tuple[str, str], Any]:
    text = files("projections.report").joinpath("templates", f"{language}.toml").read_text("utf-8")
    return {(section, name): value for section, names in tomllib.loads(text).items() for name, value in names.items()}


def names_in(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_say_the_same_things_and_fill_in_the_same_names() -> None:
    french, english = said_in("fr"), said_in("en")
    assert set(french) == set(english)
    for place, text in english.items():
        assert type(french[place]) is type(text), place
        if isinstance(text, str):
            assert names_in(french[place]) == names_in(text), place
            assert text.strip(), place
            assert french[place].strip(), place


def fields_of(declared: Any) -> set[str]:
    if isinstance(declared, list):
        return set().union(*map(fields_of, declared))
    if not isinstance(declared, dict):
        return set()
    found = fields_of(declared.get("items"))
    for each in declared.get("fields", ()):
        found |= {each["name"]} | fields_of(each["type"])
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_event_and_every_field_of_a_payload_has_a_name_in_both_languages(language: str) -> None:
    said = said_in(language)
    for file in SCHEMAS:
        if file.stem != "commit.1":
            assert ("event", file.stem) in said
            for name in fields_of(json.loads(file.read_text("utf-8"))) - {"interaction_id"}:
                assert ("field", name) in said, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_can_be_declared_has_words_in_both_languages(language: str) -> None:
    schema = json.loads((SCHEMAS[0].parent / "declaration.1.schema.json").read_text("utf-8"))
    purpose = schema["properties"]["purpose"]["items"]["properties"]
    recipient = schema["properties"]["recipient"]["items"]["properties"]
    choices = {
        "basis": purpose["legal_basis"]["enum"],
        "special_basis": purpose["special_basis"]["enum"],
        "safeguard": recipient["safeguard"]["enum"],
    }
    said = said_in(language)
    for section, names in choices.items():
        assert {name for place, name in said if place == section} == set(names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_why_something_is_withheld_has_words_in_both_languages(language: str) -> None:
    reasons = {each.name.lower() for each in Unreadable} | set(REASONS)
    assert {name for section, name in said_in(language) if section == "withheld_reason"} == reasons
    report = json.loads((SCHEMAS[0].parent / "report.1.schema.json").read_text("utf-8"))
    assert set(report["$defs"]["event"]["properties"]["withheld"]["enum"]) == reasons


def test_what_is_not_said_in_words_still_stands_in_the_pages(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1)])
    found = make(vault, projector)
    answered = found.content["interactions"][0]["events"][2]
    assert answered["event"] == Answered.TOPIC
    answered.update(event="interaction.answered.9", a_field_of_a_newer_program="its value")
    text = rendered(found, "text", "fr").decode()
    assert "interaction.answered.9" in text
    assert "a_field_of_a_newer_program" in joined(text)
    assert "its value" in text


# The picture


def test_the_picture_is_told_in_words_by_day_and_channel(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 0), turn("visitor", 90_000), turn("visitor", 90_001)])
    append(vault, received(vault, "words", channel="sms", at_us=START_US))
    found = make(vault, projector)
    assert [(each["day"], each["channel"], each["events"]) for each in found.content["timeline"]] == [
        ("2025-06-15", "sms", 1),
        ("2025-06-15", "web", 3),
        ("2025-06-16", "web", 6),
    ]
    told = "web: 9 record(s) on 2 day(s), most on 16 June 2025 (6)."
    assert told in html_of(found).text
    assert joined(told) in read_pdf(rendered(found, "pdf", "en"))[1]
    assert html_of(found).all("rect")


def test_ten_years_are_drawn_in_no_more_bars_than_a_page_is_wide(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1)])
    for month in range(12):
        append(vault, received(vault, "words", at_us=START_US - month * 10 * 30 * 86_400_000_000))
    page = html_of(make(vault, projector))
    assert len(page.all("rect")) <= 120
    assert "periods of 28 days" in page.text
