"""The forms of identifiers: for each kind its pattern, its check and the words that go with it.

Every pattern has bounded repetition and starts at a boundary, so that finding is linear in the length of the text. Scores are what is
left to say when form, check and context agree or not; a failed check lowers a score and never hides what a context word announces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nlu.personal import checks, contexts


@dataclass(frozen=True, slots=True)
class Scores:
    """By whether the check holds and a context word is near. 0 means: do not report. Kinds without a check use `context` and `bare`."""

    both: float
    checked: float
    context: float
    bare: float


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` gives the span as its whole match, or as group 1. `context` is searched in the `reach` characters before and
    the 24 after the match. `value` makes the normalised value; by default separators go and letters become capitals."""

    kind: str
    name: str
    pattern: re.Pattern[str]
    scores: Scores
    context: re.Pattern[str] | None = None
    check: Callable[[str], bool] | None = None
    reach: int = 48


def _form(text: str, flags: int = 0) -> re.Pattern[str]:
    """A pattern between boundaries: no letter, digit or decimal mark touches it."""
    return re.compile(rf"(?<![\w.,+@-])(?<!\d[/:])(?:{text})(?![\w@]|[.,:/-]\d)", flags)


_I: Final = re.IGNORECASE
_MONTH: Final = (
    "janv(?:ier)?|f[eé]v(?:rier)?|mars|avr(?:il)?|mai|juin|juil(?:let)?|ao[uû]t|sept(?:embre)?|oct(?:obre)?|nov(?:embre)?|d[eé]c(?:embre)?|"
    "jan(?:uary)?|feb(?:ruary)?|march|apr(?:il)?|may|june?|july?|aug(?:ust)?|october|november|december|mar|sep"
)
_DATE: Final = (
    r"\d{1,2}([/.-])\d{1,2}\1(?:\d{4}|\d{2})|\d{4}[-/]\d{2}[-/]\d{2}|"
    rf"\d{{1,2}}(?:er|st|nd|rd|th)?(?: of)? (?:{_MONTH})\.?,? \d{{4}}|(?:{_MONTH})\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
)
_BIC: Final = rf"[A-Z]{{4}} ?(?:{'|'.join((*checks.IBAN_LENGTHS, 'US', 'CA'))}) ?[A-Z0-9]{{2}}(?: ?[A-Z0-9]{{3}})?"
_HOSTS: Final = (
    r"(?:facebook|instagram|twitter|x|tiktok|snapchat|threads|pinterest|github|gitlab|reddit|medium|vk|t|twitch|bsky|linktr|linkedin|"
    r"youtube|mastodon|flickr|soundcloud|strava|copainsdavant|viadeo)\.(?:com|net|org|me|tv|ee|social|app|fr)"
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "iban",
        "iban",
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?:[ .-]?[A-Z0-9]){11,30}", _I),
        Scores(0.99, 0.98, 0.7, 0.5),
        contexts.ACCOUNT,
        checks.iban,
    ),
    Rule(
        "bic",
        "bic",
        _form(_BIC),
        Scores(0, 0, 0.9, 0),
        contexts.ACCOUNT,
        reach=32,
    ),
    Rule(
        "bic",
        "bic in small letters",
        _form(_BIC, _I),
        Scores(0, 0, 0.8, 0),
        contexts.words(r"bic\b|swift"),
        reach=12,
    ),
    Rule(
        "vat",
        "vat",
        _form(
            r"FR[ .-]?[0-9A-HJ-NP-Z]{2}(?:[ .-]?\d{3}){3}|CHE[ -]?\d{3}(?:[ .-]?\d{3}){2}(?: ?(?:TVA|MWST|IVA))?|"
            r"(?:AT ?U|BE ?[01]?|DE|DK|ES|FI|GB|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK|BG|CY|CZ|EE|EL|HR)[ .-]?"
            r"[0-9A-Z](?:[ .-]?\d){6,11}(?:B?[0-9A-Z]{0,3})",
            _I,
        ),
        Scores(0.99, 0.9, 0.7, 0.3),
        contexts.VAT,
        checks.vat,
    ),
    Rule(
        "nir",
        "nir",
        _form(
            r"[1-478][ .-]?\d{2}[ .-]?(?:0[1-9]|1[0-2]|[2-9]\d)[ .-]?(?:\d{2}|2[AB])[ .-]?\d{3}[ .-]?\d{3}[ .-]?\d{2}",
            _I,
        ),
        Scores(0.99, 0.95, 0.75, 0.4),
        contexts.NIR,
        checks.nir,
    ),
    Rule(
        "nir",
        "nir without key",
        _form(r"[1-478][ .-]?\d{2}[ .-]?(?:0[1-9]|1[0-2]|[2-9]\d)[ .-]?(?:\d{2}|2[AB])[ .-]?\d{3}[ .-]?\d{3}", _I),
        Scores(0, 0, 0.75, 0),
        contexts.NIR,
    ),
    Rule(
        "siret",
        "siret",
        _form(r"\d{3}[ .]?\d{3}[ .]?\d{3}[ .]?\d{5}"),
        Scores(0.99, 0.5, 0.75, 0),
        contexts.COMPANY,
        checks.siret,
    ),
    Rule(
        "siren",
        "siren",
        _form(r"\d{3}[ .]?\d{3}[ .]?\d{3}(?![ .]?\d{5}(?!\d))"),
        Scores(0.98, 0, 0.65, 0),
        contexts.COMPANY,
        checks.siren,
        32,
    ),
    Rule(
        "tax_number",
        "numéro fiscal",
        _form(r"[0-3]\d[ .]?\d{2}[ .]?\d{3}[ .]?\d{3}[ .]?\d{3}"),
        Scores(0.99, 0.6, 0.72, 0),
        contexts.TAX,
        checks.tax_number,
    ),
    Rule(
        "tax_number",
        "tax reference",
        _form(r"\d{5} ?\d{5}|\d{2}-\d{7}|9\d{2}-\d{2}-\d{4}"),
        Scores(0, 0, 0.7, 0),
        contexts.TAX,
    ),
    Rule(
        "payment_card",
        "card",
        _form(
            r"(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|35\d{2}|6\d{3})(?:[ -]?\d{4}){3}(?:[ -]?\d{3})?|4\d{3}(?:[ -]?\d{3}){3}|"
            r"3[47]\d{2}[ -]?\d{6}[ -]?\d{5}|(?:30[0-5]\d|3[68]\d{2})[ -]?\d{6}[ -]?\d{4}|(?:2131|1800)\d{11}"
        ),
        Scores(0.99, 0.9, 0.7, 0.35),
        contexts.CARD,
        checks.payment_card,
    ),
    Rule(
        "payment_card",
        "Maestro card",
        _form(r"(?:5[0678]\d{2}|6\d{3})(?:[ -]?\d{4}){2}(?:[ -]?\d{1,4})?(?:[ -]?\d{1,3})?"),
        Scores(0.97, 0, 0.6, 0),
        contexts.CARD,
        checks.payment_card,
    ),
    Rule(
        "national_number",
        "social security or national number",
        _form(
            r"\d{3}-\d{2}-\d{4}|\d{2}\.\d{2}\.\d{2}-\d{3}[.-]\d{2}|756\.\d{4}\.\d{4}\.\d{2}|"
            r"[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]"
        ),
        Scores(0.98, 0.9, 0.9, 0.7),
        contexts.NATIONAL,
        checks.national_number,
    ),
    Rule(
        "national_number",
        "number after its name",
        _form(r"\d{3}[ -]?\d{3}[ -]?\d{3}|\d{3} ?\d{2} ?\d{4}|\d{11}|\d{13}"),
        Scores(0.95, 0, 0.7, 0),
        contexts.NATIONAL,
        checks.national_number,
    ),
    Rule(
        "passport", "French passport", _form(r"\d{2} ?[A-Z]{2} ?\d{5}", _I), Scores(0, 0, 0.97, 0.4), contexts.PASSPORT
    ),
    Rule(
        "passport",
        "passport",
        _form(r"[A-Z]{1,2} ?\d{6,8}|\d{8,9}", _I),
        Scores(0, 0, 0.8, 0),
        contexts.PASSPORT,
        reach=32,
    ),
    Rule(
        "identity_card",
        "old French identity card",
        _form(r"\d{12}|\d{2} ?\d{2} ?\d{2} ?\d{6}"),
        Scores(0, 0, 0.93, 0),
        contexts.IDENTITY,
    ),
    Rule(
        "identity_card",
        "identity card",
        _form(r"(?=[A-Z0-9]*\d)(?=[0-9]*[A-Z])[A-Z0-9]{9}|\d{3}-\d{7}-\d{2}|[A-Z]{1,2}\d{6,8}|\d{8,10}", _I),
        Scores(0, 0, 0.85, 0),
        contexts.IDENTITY,
    ),
    Rule(
        "driving_licence",
        "driving licence",
        _form(r"(?=[A-Z0-9-]{0,8}\d{2})[A-Z0-9]{7,18}|[A-Z]\d{4}-\d{5}-\d{5}", _I),
        Scores(0, 0, 0.75, 0),
        contexts.LICENCE,
        reach=36,
    ),
    Rule(
        "plate",
        "SIV plate",
        _form(r"[A-HJ-NP-TV-Z]{2}-\d{3}-[A-HJ-NP-TV-Z]{2}|[A-HJ-NP-TV-Z]{2} ?\d{3} ?[A-HJ-NP-TV-Z]{2}", _I),
        Scores(0, 0, 0.97, 0.55),
        contexts.PLATE,
    ),
    Rule(
        "plate",
        "FNI plate",
        _form(r"\d{1,4}[ -]?[A-HJ-NP-TV-Z]{2,3}[ -]?(?:\d{2}|2[AB]|97\d)", _I),
        Scores(0, 0, 0.8, 0),
        contexts.PLATE,
    ),
    Rule(
        "plate",
        "foreign plate",
        _form(r"[A-Z]{2}\d{2} ?[A-Z]{3}|[12]-[A-Z]{3}-\d{3}|[A-Z]{4} ?\d{3}|[A-Z]{2} ?\d{4,6}"),
        Scores(0, 0, 0.75, 0),
        contexts.PLATE,
    ),
    Rule(
        "postcode",
        "postcode after its name",
        _form(r"(?:[A-Z]-?)?\d{5}(?:-\d{4})?|\d{4}|\d{2} ?\d{3}"),
        Scores(0, 0, 0.9, 0),
        contexts.POSTCODE,
        reach=28,
    ),
    Rule("postcode", "ZIP+4", _form(r"[A-Z]{2} (\d{5}-\d{4})"), Scores(0, 0, 0.85, 0.7), contexts.POSTCODE),
    Rule(
        "postcode",
        "British postcode",
        _form(r"(?:[A-PR-UWYZ][A-HK-Y]?\d[0-9A-HJKMNP-Y]?|GIR) \d[ABD-HJLNP-UW-Z]{2}"),
        Scores(0, 0, 0.95, 0.8),
        contexts.POSTCODE,
    ),
    Rule(
        "postcode",
        "Canadian postcode",
        _form(r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d"),
        Scores(0, 0, 0.95, 0.7),
        contexts.POSTCODE,
    ),
    Rule(
        "ip",
        "IPv4",
        re.compile(r"(?<![\w.-])(?:(?:25[0-5]|2[0-4]\d|1?\d{1,2})\.){3}(?:25[0-5]|2[0-4]\d|1?\d{1,2})(?![\w-]|\.\d)"),
        Scores(0.95, 0.85, 0, 0),
        contexts.MACHINE,
        checks.address_of_a_machine,
    ),
    Rule(
        "ip",
        "IPv6",
        re.compile(
            r"(?<![\w:.])(?=[0-9A-F:]{0,30}\d)[0-9A-F]{0,4}(?::[0-9A-F]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?![\w:]|\.\d)", _I
        ),
        Scores(0.95, 0.85, 0, 0),
        contexts.MACHINE,
        checks.address_of_a_machine,
    ),
    Rule(
        "mac",
        "MAC",
        re.compile(
            r"(?<![\w:.-])(?:[0-9A-F]{2}([:-]))(?:[0-9A-F]{2}\1){4}[0-9A-F]{2}(?![\w:-])|(?<![\w.])[0-9A-F]{4}(?:\.[0-9A-F]{4}){2}(?![\w.])",
            _I,
        ),
        Scores(0, 0, 0.98, 0.95),
    ),
    Rule(
        "date_of_birth",
        "date near birth",
        re.compile(rf"(?<![\w/.-])(?:{_DATE})(?![\w/-]|\.\d)", _I),
        Scores(0, 0, 0.95, 0),
        contexts.BORN,
        reach=40,
    ),
    Rule(
        "url",
        "address of a profile",
        re.compile(
            rf"(?<![\w@.-])(?:https?://)?(?:[a-z]{{1,6}}\.)?{_HOSTS}/(?:(?:in|user|users|u|c|channel|profile|add)/)?@?[\w.%~+-]{{2,80}}[^\s<>\"']{{0,500}}",
            _I,
        ),
        Scores(0, 0, 0.95, 0.95),
    ),
    Rule(
        "url",
        "address with credentials",  # above an e-mail address: what stands before the @ may be a password
        re.compile(r"(?<![\w@.-])(?:https?|ftp)://[^\s<>\"'/@]{1,100}@[^\s<>\"']{1,500}", _I),
        Scores(0, 0, 0.995, 0.995),
    ),
    Rule(
        "url",
        "address with a user",
        re.compile(
            r"(?<![\w@.-])(?:https?|ftp)://(?:[^\s<>\"'/@]{1,200}/(?:~|users?/|profiles?/|u/|@)[^\s<>\"']{1,500}|"
            r"[^\s<>\"'?]{1,300}\?[^\s<>\"']{0,300}?(?:user|username|login|email|name|nom|prenom)=[^\s<>\"']{1,300})",
            _I,
        ),
        Scores(0, 0, 0.9, 0.9),
    ),
)
