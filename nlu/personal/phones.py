"""Telephone numbers: candidates by their form, judged by phonenumbers, which carries its numbering plans with it (no look-up)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import phonenumbers

from nlu.span import Span

REGIONS: Final = {"fr": ("FR", "BE", "CH", "LU", "CA"), "en": ("GB", "US", "CA")}
"""Whose numbering plans are tried, in order, by language."""
_ANY: Final = ("FR", "GB", "US", "BE", "CH", "LU", "CA")

_PLUS: Final = r"(?:\+|00|011[ -]?)[1-9]\d{0,2}(?:[ .-]?\(0\))?(?:[ .\-/]?\(?\d\)?){6,13}"
_PAIRS: Final = r"0[1-9](?:[ .\-/]?\d{2}){4}"
_NORTH_AMERICA: Final = r"(?:\+?1[ .-]?|001-)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]?\d{4}"
_TRUNK: Final = r"\(?0\d{1,5}+\)?(?:[ .\-/]?\d{2,7}+){1,5}"
_EXTENSION: Final = r"(?:(?: ?x| ?ext\.? ?| ?poste )\d{1,6})?"
_BEFORE: Final = r"(?<![\w+@(-])(?<!\d[ .,/])"
_FORM: Final = re.compile(
    rf"{_BEFORE}(?:{_PLUS}|{_PAIRS}(?!\d)|{_NORTH_AMERICA}(?!\d)|{_TRUNK}){_EXTENSION}(?![\w@]|[.,:/-]\d)",
    re.IGNORECASE,
)
_LOOSE: Final = re.compile(
    rf"{_BEFORE}\(?(?:\d{{5}}(?=[ .)/-])|\d{{2,4}}+)\)?(?:[ .\-/]?\d{{2,10}}+){{1,6}}{_EXTENSION}(?![\w@]|[.,:/-]\d)",
    re.IGNORECASE,
)
_AMERICAN: Final = re.compile(_NORTH_AMERICA + _EXTENSION, re.IGNORECASE)
_CONTEXT: Final = re.compile(
    r"(?<!\w)(?:t[eé]l(?:\.|\b|[eé]phon)|phone|portable|mobile|cell|fax\b|call|appel|rappel|joi(?:nd|gn)|reach|sms\b|text me|"
    r"whatsapp|fixe\b|answer|number is|office\b|ring|contact|"
    r"num[eé]ro(?! (?:de )?(?:s[eé]cu|fiscal|carte|compte|commande|siret|tva|client|dossier|passeport)))",
    re.IGNORECASE,
)
_CONTEXT_AFTER: Final = re.compile(
    r"[ \-(]{0,3}(?:office|fax|mobile|home|work|portable|fixe|bureau|domicile|cell)\b", re.IGNORECASE
)
_DATE: Final = re.compile(
    r"(?:0?[1-9]|[12]\d|3[01])([/.-])(?:0?[1-9]|[12]\d|3[01])\1(?:19|20)\d\d|(?:19|20)\d\d-\d\d-\d\d|(?:19|20)\d\d[/-](?:19|20)\d\d"
)
_LIKE_A_DATE: Final = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2}|\d{4}[ -]\d{4}")
_SIX: Final = re.compile(r"\d{2}([ .-])\d{2}\1\d{2}|\d{3}[ .-]\d{3}")
REACH: Final = 40
MAX_DIGITS: Final = 15
"""E.164."""


def find(text: str, language: str) -> Iterator[Span]:
    """Spans of `phone` in folded text; `value` is E.164 where the number is valid. May overlap what other rules find."""
    for pattern in (_FORM, _LOOSE):
        for match in pattern.finditer(text):
            if (span := _judge(text, *match.span(), match[0], language, formed=pattern is _FORM)) is not None:
                yield span


def _judge(text: str, start: int, end: int, written: str, language: str, *, formed: bool) -> Span | None:
    digits = sum(map(str.isdigit, re.split("[xep]", written, maxsplit=1)[0]))
    if not 6 <= digits <= MAX_DIGITS + 2:
        return None
    announced = bool(_CONTEXT.search(text, max(0, start - REACH), start) or _CONTEXT_AFTER.match(text, end, end + 16))
    if _DATE.fullmatch(written) or (_LIKE_A_DATE.fullmatch(written) and not announced):
        return None
    if digits == 6 and not formed and not _SIX.fullmatch(written):
        return None
    number = e164(written, language) if formed or announced else None
    if number is not None:
        international = written.startswith(("+", "00"))
        return Span(start, end, "phone", 0.97 if announced or international else 0.88, number, "phonenumbers")
    if announced and digits <= MAX_DIGITS:
        return Span(start, end, "phone", 0.7, None, "phone context")
    grouped = len(re.split(r"[ .\-/)]+", written)) > 2 and (written.startswith("0") or _AMERICAN.fullmatch(written))
    if formed and (grouped or written.startswith("+")):
        return Span(start, end, "phone", 0.5, None, "phone form")
    return None


def e164(written: str, language: str) -> str | None:
    """The number in E.164 (`+33612345678`), or None where no numbering plan of the language's regions has it."""
    written = "+" + written[2:] if written.startswith("00") else written
    for region in REGIONS.get(language, _ANY):
        try:
            number = phonenumbers.parse(written, region)
        except phonenumbers.NumberParseException:
            return None
        if phonenumbers.is_valid_number(number):
            return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
        if written.startswith("+"):
            return None
    return None
