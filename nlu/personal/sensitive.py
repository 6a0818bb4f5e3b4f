"""Flags for the special categories of GDPR Art. 9 and for Art. 10 (offences), by word lists and what stands before the word.

A flag says that the message tells something of a person, not that it names a topic. "Je suis diabétique", "my son is autistic", "mon
arrêt maladie" are flagged; "carte Vitale", "opening hours of the doctor's office", "do you have halal meals?" are not. A strong term
is flagged after a person and a verb ("elle a eu un AVC"), after a possessive ("my chemotherapy"), after "suffering from" and its like,
or as a whole answer of at most three words; a weak term only right after a person and a verb of being. Negation is not looked at: "je
ne suis pas séropositif" is health data as well. A question to the house ("vous", "you") flags nothing.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Final

from nlu.personal.fold import plain
from nlu.span import Span

LANGUAGES: Final = ("fr", "en")
FOUND_BY: Final = "lexicon"
STRONG, WEAK, ANSWER = 0.85, 0.6, 0.6
"""Scores: a strong term told of a person, a weak one, and a strong one that is the whole message."""
REACH: Final = 64
"""How many characters before a term a person may stand."""
ANSWER_WORDS: Final = 3
LONGEST_WORD: Final = 24

_WORD: Final = re.compile(r"[^\W\d_][\w\u0300-\u036f-]*")
_OF: Final = "(?:mon|ma|mes|son|sa|ses|notre|nos|leurs?|my|his|her|our|their)"
_KIN: Final = (
    rf"{_OF} (?:[^\W\d_]+ )?(?:fils|fille|enfants?|bebe|mari|femme|epouse?|conjointe?|compagn(?:on|e)|pere|mere|parents?|frere|soeur|"
    r"grand-pere|grand-mere|oncle|tante|cousine?|voisine?s?|collegues?|amie?|patron|son|daughter|child|children|kids?|baby|husband|wife|"
    r"partner|father|mother|dad|mum|mom|brother|sister|grandfather|grandmother|uncle|aunt|cousin|neighbou?rs?|colleague|friend|boss|"
    r"boyfriend|girlfriend)"
)
_FIRST: Final = rf"(?:je|j'|nous|moi|i|i'|we|we'|{_KIN})"
_ANYONE: Final = rf"(?:{_FIRST}|ils?|elles?|lui|he|she|they|who|qui|(?-i:[A-Z][^\W\d_]+))"
_BE: Final = (
    r"(?:ne |n'|me |m'|y )?(?:suis|sommes|est|sont|etais|etait|etaient|serai|sera|deviens|devenue?s?|am|'?m|are|'?re|is|was|were|been|"
    r"become|became)"
)
_HAVE: Final = (
    r"(?:ne |n'|me |m'|se |s'|y )?(?:ai|as|a|avons|ont|avais|avait|aurai|have|'?ve|has|had|got|souffr\w{1,6}|pratique|fais|fait|attends|"
    r"vis|vit|porte|suffer\w{0,4}|practi[sc]e|lives?|vien[st] d'avoir|feel|spent|went|sort|sors|crois|believe)"
)
_SOUGHT: Final = (
    r"(?!.*\b(?:questions?|renseignements?|informations?|infos?|sur|about|regarding|cherche|recherche|looking|besoin|need|want|veux|"
    r"voudrais|travaill\w{1,6}|work\w{0,3}|job|horaires?|hours|centre|center|livre|book|film|movie|article|vous|you|your|votre|"
    r"rendez-vous|rdv|appointment)\b)"
)
_SUFFERING: Final = (
    r"(?:atteinte?s? d['eu]|souffrante? d['eu]|suffering from|diagnosed with|victime d['eu]|en situation de)"
)
_TOLD: Final = re.compile(
    rf"(?:(?<!\w){_ANYONE}\W{{0,2}}(?:{_BE}|{_HAVE})\b{_SOUGHT}[^.!?;\n]{{0,40}}|(?<!\w){_OF}\W(?:[^\W\d_]+\W)?|"
    rf"(?<!\w){_SUFFERING}\W{{0,2}}(?:[^\W\d_]+\W){{0,2}})\Z",
    re.IGNORECASE,
)
_BEING: Final = re.compile(
    rf"(?<!\w){_FIRST}\W{{0,2}}(?:{_BE}\W|(?:ai|have|has|a)\W)?(?:pas |not |en |a la |de |d'|tres |trop |very |on |in a |a |of |tombee? |"
    r"gravement |also |aussi )?\Z",
    re.IGNORECASE,
)
_HAVING: Final = re.compile(r"\b(?:ai|a|have|has)\W\w*\W?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Term:
    """`words` in lower case without accents; `open`: the last may go on."""

    words: tuple[str, ...]
    open: bool
    kind: str
    strong: bool


@functools.cache
def lexicon(language: str) -> dict[str, tuple[Term, ...]]:
    """Terms of a language by their first word, or by its first four letters where that may go on; longer terms first."""
    text = (resources.files("nlu.personal") / "data" / f"sensitive_{language}.txt").read_text("utf-8")
    found: dict[str, list[Term]] = {}
    kind = strength = ""
    for line in text.splitlines():
        if line.startswith("== "):
            _, kind, strength = line.split()
        elif line and not line.startswith("#"):
            words = tuple(_words(line.rstrip("*")))
            term = Term(words, line.endswith("*"), kind, strength == "strong")
            found.setdefault(words[0][:4] + "*" if term.open and len(words) == 1 else words[0], []).append(term)
    return {
        first: tuple(sorted(terms, key=lambda t: (-len(t.words), -len(t.words[-1])))) for first, terms in found.items()
    }


def _words(text: str) -> list[str]:
    return [plain(match[0][:LONGEST_WORD]) for match in _WORD.finditer(text)]


def find(text: str, language: str = "") -> list[Span]:
    """Flags in folded text, in order; linear in its length. Without a language both lists are looked in."""
    places = list(_WORD.finditer(text))
    words = [plain(match[0][:LONGEST_WORD]) for match in places]
    found: list[Span] = []
    for each in [language] if language in LANGUAGES else LANGUAGES:
        for start, end, term in _terms(words, lexicon(each)):
            span = (places[start].start(), places[end - 1].end())
            if score := _score(text, span[0], term, len(words)):
                found.append(Span(*span, term.kind, score, None, FOUND_BY))
    return found


def _bare(text: str) -> str:
    """Without accents, capitals kept."""
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))


def _terms(words: list[str], terms: dict[str, tuple[Term, ...]]) -> Iterator[tuple[int, int, Term]]:
    """Where terms are among the words: [start, end) in words. The longest at a place."""
    for start, word in enumerate(words):
        for term in (*terms.get(word, ()), *terms.get(word[:4] + "*", ())):
            end = start + len(term.words)
            *first, last = words[start:end]
            if (*first,) == term.words[:-1] and (
                last.startswith(term.words[-1]) if term.open else last == term.words[-1]
            ):
                yield start, end, term
                break


def _score(text: str, start: int, term: Term, words: int) -> float:
    """0 where the term is a mere topic."""
    before = _bare(text[max(0, start - REACH) : start])
    if term.strong:
        if term.words[0] in ("ma", "my", "mon"):
            return STRONG
        if _TOLD.search(before):
            return STRONG
        return ANSWER if words <= ANSWER_WORDS and "?" not in text else 0.0
    if not _BEING.search(before):
        return 0.0
    return 0.0 if term.kind == "ethnicity" and _HAVING.search(before) else WEAK
