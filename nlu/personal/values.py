"""Made-up values for the slots of training templates: names, addresses, organisations, dates. Nobody's data."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from nlu.personal.fold import plain
from nlu.personal.lexicon import entries


def words(text: str) -> tuple[str, ...]:
    """A list, written without quotes."""
    return tuple(text.split())


_ONSETS: Final = words("b bl br c ch d dr f fr g gr h j k kh kr l m n p pr r s sh st t tr v w y z")
_VOWELS: Final = words("a a a e e i i o o u ai ia ou é")
_CODAS: Final = ("", "", "", "n", "r", "s", "l", "nd", "rt", "sk", "x", "tz", "ch")
_LAST_ENDINGS: Final = words(
    "ard eau et in ier ot son ton er man berg stein ez o i a ic ić ov ova ski ska wicz sen sson dóttir nen as is idis ian ko enko ura moto "
    "yan shvili escu u oğlu lund ström sdottir"
)
_FIRST_ENDINGS: Final = words("a a e ie ine o us el an en in on is ah i y ia ette ka ko slav mir")
_ROADS: Final = words(
    "rue rue rue rue avenue boulevard place impasse chemin allée route quai cours square bd av. passage ruelle sentier faubourg villa "
    "résidence esplanade hameau lotissement"
)


class Filler:
    """Values for slots, in one language, from one source of randomness."""

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
        one = self._syllables(_LAST_ENDINGS) if chance < 0.4 else self._pick(self._lasts)
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

    def _title(self) -> str:
        if self._french:
            return self._pick(
                ("M.", "Mme", "Monsieur", "Madame", "Mlle", "Mr", "M", "Dr", "Maître", "le docteur", "Docteur")
            )
        return self._pick(("Mr", "Mrs", "Ms", "Mr.", "Mrs.", "Ms.", "Miss", "Dr", "Dr.", "Sir", "Professor", "Mister"))

    def _city(self) -> str:
        chance = self._random.random()
        if chance < 0.65:
            return self._pick(self._places)
        if chance < 0.8 and self._french:
            return f"{self._pick(('Saint-', 'Sainte-', 'La ', 'Le ', 'Les ', 'Mont-'))}{self._pick(self._lasts)}"
        ends = (
            ("ville", "ac", "court", "-sur-Seine", "-les-Bains", "y")
            if self._french
            else ("ton", "ham", "ford", "bury", "ville", " City", "stadt", "by")
        )
        return self._syllables(("", "a", "e")) + self._pick(ends)

    def _country(self) -> str:
        return self._pick(self._places[:400])

    def _road(self) -> str:
        """A street's name, without its number."""
        name = self._pick((self._last(), self._person(), self._first(), self._syllables(_LAST_ENDINGS)))
        if self._random.random() < 0.2:  # from elsewhere
            end = self._pick(
                (
                    "strasse",
                    "straße",
                    "gasse",
                    "weg",
                    "straat",
                    "laan",
                    "vej",
                    "gatan",
                    "katu",
                    "vegen",
                    "tie",
                    "gata",
                    "utca",
                )
            )
            start = self._pick(
                ("Via ", "Calle ", "Rua ", "Ulica ", "Avenida ", "Plaza ", "ul. ", "Strada ", "Corso ", "")
            )
            return start + name if start else name.split()[-1].capitalize() + self._pick(("", " ")) + end
        if self._french:
            kind = self._pick(_ROADS)
            thing = self._pick(
                (
                    "Lilas",
                    "Écoles",
                    "Chênes",
                    "Champs",
                    "Pins",
                    "Prés",
                    "Jardins",
                    "Peupliers",
                    "Cerisiers",
                    "Remparts",
                    "Halles",
                    "Carmes",
                    "Moulins",
                )
            )
            place = self._pick(
                (
                    "Gare",
                    "République",
                    "Mairie",
                    "Paix",
                    "Forêt",
                    "Plage",
                    "Poste",
                    "Chapelle",
                    "Source",
                    "Croix",
                    "Victoire",
                )
            )
            hero = self._pick(("Général", "Maréchal", "Docteur", "Président", "Colonel", "Abbé"))
            month = self._month()
            rest = self._pick(
                (
                    f"des {thing}",
                    f"de la {place}",
                    name,
                    f"du {hero} {self._last()}",
                    f"de {self._city()}",
                    f"du {self._random.randint(1, 30)} {month}",
                    f"Saint-{self._first()}",
                    f"{self._first()} et {self._first()} {self._last()}",
                    f"du {self._random.randint(1, 30)} {month} {self._year()}",
                    f"{self._first()} {self._last()}",
                    f"du {self._pick(('Stade', 'Château', 'Port', 'Pont', 'Lavoir', 'Bois'))}",
                    f"de l'{self._pick(('Église', 'École', 'Hôpital', 'Étang', 'Hôtel de Ville'))}",
                )
            )
            return f"{kind} {rest}"
        kind = self._pick(
            (
                "Street",
                "St",
                "Road",
                "Rd",
                "Avenue",
                "Ave",
                "Lane",
                "Drive",
                "Dr",
                "Court",
                "Close",
                "Way",
                "Terrace",
                "Blvd",
                "Gardens",
                "Place",
            )
        )
        thing = self._pick(
            (
                "High",
                "Station",
                "Church",
                "Park",
                "Mill",
                "Victoria",
                "Green",
                "Oak",
                "Maple",
                "Main",
                "King",
                "Queen",
                "Bridge",
                f"{self._random.randint(2, 190)}th",
                f"W {self._random.randint(2, 90)}th",
            )
        )
        return f"{self._pick((thing, name, thing))} {kind}"

    def _street(self) -> str:
        number = str(self._random.randint(1, 9999 if self._random.random() < 0.3 else 199))
        if self._french:
            number += self._pick(("", "", "", "", "", " bis", " ter", " B", "A", ",", ","))
        elif self._random.random() < 0.25:
            number = f"{self._random.randint(1, 99):02d} {number}"
        road = self._road()
        if (
            road.split()[-1].endswith(("e", "g", "n"))
            and road[-3:] in ("sse", "aße", "weg", "aan", "tan")
            and self._random.random() < 0.6
        ):
            return f"{road} {number.rstrip(',')}"
        return f"{number} {road}"

    def _unit(self) -> str:
        if self._french:
            return (
                self._pick(("appartement", "appt", "bâtiment", "bât.", "escalier", "étage", "porte", "BP"))
                + f" {self._pick('ABC123456789')}"
            )
        return self._pick(("Apt.", "Suite", "Apt", "Flat", "Unit", "Floor", "#")) + f" {self._random.randint(1, 999)}"

    def _postcode(self) -> str:
        letters = "ABDEFGHJLNPRSTUWYZ"
        if self._french or self._random.random() < 0.7:
            return self._digits(5)
        return f"{self._pick(letters)}{self._pick(letters)}{self._random.randint(1, 20)} {self._random.randint(1, 9)}{self._pick(letters)}{self._pick(letters)}"

    def _tail(self, separator: str) -> str:
        """City with postcode, region and country as the language has them."""
        city, code = self._city(), self._postcode()
        if self._french:
            return self._pick(
                (
                    f"{code} {city}",
                    f"{code} {city}",
                    f"{code} {city.upper()}",
                    city,
                    f"{code} {city}{separator}{self._country()}",
                )
            )
        region = self._pick(("NY", "CA", "TX", "WA", "ON", "QC", "AZ", "OH", "PA", "NV", "VA", "AB"))
        return self._pick(
            (
                city,
                f"{city} {code}",
                f"{city}, {region} {code}",
                f"{city}{separator}{self._country()} {code}",
                f"{city} {region}",
                f"{city}{separator}{self._country()}",
                f"{code} {city}",
                f"{city.upper()}{separator}{region} {code}",
            )
        )

    def _address(self) -> str:
        chance, street = self._random.random(), self._street()
        if chance < 0.12:
            return street
        if chance < 0.18 and not self._french:
            return (
                self._pick(
                    (
                        f"PO Box {self._digits(4)}",
                        f"P.O. Box {self._digits(3)}",
                        f"Unit {self._digits(4)} Box {self._digits(4)}",
                        f"PSC {self._digits(4)}, Box {self._digits(4)}",
                    )
                )
                + f"\n{self._pick(('APO', 'DPO', 'FPO'))} {self._pick(('AP', 'AE', 'AA'))} {self._digits(5)}"
            )
        separator = self._pick(
            (", ", ", ", " ", "\n", "\n ", " - ") if not self._french else (", ", ", ", " ", " ", "\n", " à ")
        )
        if separator == " à ":
            return f"{street} à {self._city()}"
        unit = self._unit() + separator if self._random.random() < (0.15 if self._french else 0.35) else ""
        return f"{street}{separator}{unit}{self._tail(separator)}"

    def _address2(self) -> str:
        """An address on several lines."""
        unit = self._pick(("", "\n" + self._unit(), "\n " + self._unit()))
        tail = self._tail(self._pick(("\n", ", ", "\n ", "\n\n")))
        return f"{self._street()}{unit}\n{self._pick(('', ' ', '', chr(10)))}{tail}".replace("\n\n\n", "\n\n")

    def _org(self) -> str:
        last, other = self._last(), self._last()
        if self._french:
            return self._pick(
                (
                    f"{last} SA",
                    f"SARL {last}",
                    f"{last} et Fils",
                    f"Boulangerie {last}",
                    f"{self._syllables(('tel', 'dis', 'fi', 'co', 'a'))}",
                    f"Garage {last}",
                    f"{last}-{other}",
                    f"Groupe {last}",
                    f"Banque {last}",
                    f"Assurances {last}",
                    f"{last} Immobilier",
                )
            )
        return self._pick(
            (
                f"{last} Ltd",
                f"{last} Inc.",
                f"{last} & Sons",
                f"{last}-{other}",
                f"{last}, {other} and {self._last()}",
                f"{last} Group",
                f"{self._syllables(('tech', 'soft', 'corp', 'ia', 'ex'))}",
                f"{last} PLC",
                f"Bank of {self._city()}",
                f"University of {self._city()}",
                f"{last} LLC",
                f"{last} Records",
            )
        )

    def _phone(self) -> str:
        if self._french:
            pairs = [self._digits(2) for _ in range(4)]
            return self._pick(("0", "+33 ")) + self._pick("1234567") + self._pick((" ", ".", "")).join(["", *pairs])
        return self._pick(
            (
                f"({self._random.randint(201, 989)}) 555-{self._digits(4)}",
                f"07{self._digits(3)} {self._digits(6)}",
                f"+44 20 7{self._digits(3)} {self._digits(4)}",
            )
        )

    def _email(self) -> str:
        return (
            f"{re.sub('[^a-z]', '', plain(self._first()))}.{self._digits(2)}@example.{self._pick(('org', 'com', 'fr'))}"
        )

    def _iban(self) -> str:
        return f"FR76{self._digits(23)}"

    def _card(self) -> str:
        return f"4{self._digits(15)}"

    def _time(self) -> str:
        hour, minute = self._random.randint(0, 23), self._random.randint(0, 59)
        return self._pick(
            (f"{hour}h{minute:02d}", f"{hour}h", f"{hour}:{minute:02d}")
            if self._french
            else (f"{hour}:{minute:02d}", f"{hour % 12 or 12}pm", f"{hour % 12 or 12} am")
        )

    def _day(self) -> str:
        french = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
        english = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "monday", "friday")
        return self._pick(french if self._french else english)

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

    def _date(self) -> str:
        day, month = self._random.randint(1, 28), self._month()
        numbers = f"{day:02d}/{self._random.randint(1, 12):02d}/{self._year()}"
        return self._pick(
            (f"{day} {month}", f"{day} {month} {self._year()}", numbers)
            if self._french
            else (f"{month} {day}", f"{day} {month} {self._year()}", numbers)
        )

    def _amount(self) -> str:
        number = self._random.randint(1, 900)
        return self._pick(
            (f"{number} €", f"{number},{self._digits(2)} €", f"{number} euros")
            if self._french
            else (f"${number}", f"£{number}.{self._digits(2)}", f"{number} dollars")
        )

    def _number9(self) -> str:
        return self._digits(self._random.randint(6, 15))

    def _number(self) -> str:
        return str(self._random.randint(2, 10 ** self._random.randint(1, 6)))
