"""Made-up names of people, made of word lists and syllables. Nobody's data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from nlu.personal.lexicon import entries


def words(text: str) -> tuple[str, ...]:
    """A list, written without quotes."""
    return tuple(text.split())


_ONSETS: Final = words("b bl br c ch d dr f fr g gr h j k kh kr l m n p pr r s sh st t tr v w y z")
_VOWELS: Final = words("a a a e e i i o o u ai ia ou é")
_CODAS: Final = ("", "", "", "n", "r", "s", "l", "nd", "rt", "sk", "x", "tz", "ch")
LAST_ENDINGS: Final = words(
    "ard eau et in ier ot son ton er man berg stein ez o i a ic ić ov ova ski ska wicz sen sson dóttir nen as is idis ian ko enko ura moto "
    "yan shvili escu u oğlu lund ström sdottir"
)
_FIRST_ENDINGS: Final = words("a a e ie ine o us el an en in on is ah i y ia ette ka ko slav mir")


class Names:
    """Names, in one language, from one source of randomness; `value` fills any slot that a subclass makes."""

    def __init__(self, language: str, random: Random) -> None:
        self._random, self._french = random, language == "fr"
        self._firsts, self._lasts, self._places = entries("first_names"), entries("surnames"), entries("places")

    def value(self, slot: str) -> str:
        """A new value for a slot of the templates."""
        make: Callable[[], str] = getattr(self, f"_{slot}")
        return make()

    def _pick(self, choices: Sequence[str]) -> str:
        return self._random.choice(choices)

    def _digits(self, count: int) -> str:
        return "".join(self._pick("0123456789") for _ in range(count))

    def _syllables(self, endings: Sequence[str]) -> str:
        middle = self._pick(_ONSETS) + self._pick(_VOWELS) + self._pick(_CODAS)
        if self._random.random() < 0.4:
            middle += self._pick(_ONSETS) + self._pick(_VOWELS)
        return (middle + self._pick(endings)).capitalize()

    def _first(self) -> str:
        chance = self._random.random()
        if chance < 0.3:
            return self._syllables(_FIRST_ENDINGS)
        return self._pick(self._firsts) + (f"-{self._pick(self._firsts)}" if chance > 0.97 else "")

    def _last(self) -> str:
        chance = self._random.random()
        one = self._syllables(LAST_ENDINGS) if chance < 0.4 else self._pick(self._lasts)
        if chance > 0.95:
            one = (
                self._pick(
                    (
                        "Mc",
                        "O'",
                        "D'",
                        "De ",
                        "Le ",
                        "Le ",
                        "Van ",
                        "El ",
                        "Ben ",
                        "Di ",
                        "Da ",
                        "Dos ",
                        "von ",
                        "de ",
                        "van ",
                        "di ",
                        "ten ",
                        "bin ",
                        "van der ",
                        "De La ",
                        "L'",
                        "N'",
                    )
                )
                + one
            )
        elif chance > 0.88:
            one = f"{one}-{self._pick(self._lasts)}"
        return one

    def _person(self) -> str:
        chance, first, last = self._random.random(), self._first(), self._last()
        forms = (
            (0.52, f"{first} {last}"),
            (0.70, first),
            (0.80, last),
            (0.87, f"{first} {last.upper()}"),
            (0.90, f"{last.upper()} {first}"),
            (0.93, f"{first[0]}. {last}"),
            (0.96, f"{first} {self._first()[0]}. {last}"),
            (0.98, f"{first} {self._first()} {last}"),
            (1.01, f"{first} {last} {self._last()}"),
        )
        return next(form for limit, form in forms if chance < limit)

    def _month(self) -> str:
        french = (
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        )
        english = (
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        )
        return self._pick(french if self._french else english)

    def _year(self) -> str:
        return str(self._random.randint(1950, 2030))
