"""What a report says in each language, from templates/en.toml and fr.toml; and how it shows characters that must not act."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

LANGUAGES = ("fr", "en")

_SILENT = re.compile("[^\x20-\x7e\u00a1-\u00ac\u00ae-\u034e\u0370-\u05ff\u0621-\u06dc\n]")
"""What may have to be shown by its number; all others may stand as they are."""
_JOINERS = "\u200c\u200d"
"""Join and part letters in some scripts, and emoji; without them words would be misspelt."""


class Words:
    """What is said in one language. A name that is not there raises `KeyError`."""

    def __init__(self, language: str, said: Mapping[str, Mapping[str, str | list[str]]]) -> None:
        self.language = language
        self._said = said

    def __call__(self, section: str, name: str, /, **values: object) -> str:
        """A text, with its names in braces filled in."""
        text = self._said[section][name]
        assert isinstance(text, str)
        return text.format(**values) if values else text

    def known(self, section: str, name: str) -> str:
        """A text, or the name itself where it has none, as of an event that a newer program wrote."""
        text = self._said[section].get(name, name)
        assert isinstance(text, str)
        return text

    def joined(self, texts: Iterable[str]) -> str:
        """Several texts as one; empty where there is none."""
        return self("document", "and").join(texts)

    def named(self, text: Mapping[str, str] | None, name: str) -> str:
        """What is declared under a name, in this language; or the name, and that it is undeclared."""
        return text[self.language] if text else f"{name} ({self('document', 'undeclared')})"

    def yes_no(self, value: bool) -> str:
        return self("document", "yes" if value else "no")

    def day(self, at: str) -> str:
        """A day, from ISO 8601."""
        months = self._said["document"]["months"]
        return self("document", "day", day=int(at[8:10]), month=months[int(at[5:7]) - 1], year=int(at[:4]))

    def moment(self, at: str) -> str:
        """A day and the time to the second, from ISO 8601."""
        return self("document", "moment", day=self.day(at), time=at[11:19])


@cache
def words(language: str) -> Words:
    """What is said in `fr` or `en`."""
    text = files("projections.report").joinpath("templates", f"{language}.toml").read_text("utf-8")
    return Words(language, tomllib.loads(text))


def shown(text: str) -> str:
    """A person's text with nothing in it that acts: control and format characters are shown by their number, line ends kept.

    Risk: a message may hold what moves a terminal's cursor, turns the direction of what follows, or hides words.
    """
    return _SILENT.sub(_number, text.replace("\r\n", "\n").replace("\t", "    "))


def _number(match: re.Match[str]) -> str:
    character = match[0]
    # Format, control, surrogate, private, unassigned; line and paragraph separators.
    acts = unicodedata.category(character) in {"Cf", "Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
    return f"[U+{ord(character):04X}]" if acts and character not in _JOINERS else character
