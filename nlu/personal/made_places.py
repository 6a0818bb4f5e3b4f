"""Made-up streets, towns and addresses. Nobody's data."""

from __future__ import annotations

from typing import Final

from nlu.personal.made_names import LAST_ENDINGS, Names, words

_ROADS: Final = words(
    "rue rue rue rue avenue boulevard place impasse chemin allée route quai cours square bd av. passage ruelle sentier faubourg villa "
    "résidence esplanade hameau lotissement"
)
LONG_NAMES: Final = (
    "Republic of {}",
    "Kingdom of {}",
    "Kingdom of the {}",
    "Democratic Republic of the {}",
    "{} Islands",
    "Republic of the {}",
)


class Places(Names):
    """Addresses as they are written in France and in English-speaking countries, and some from elsewhere."""

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
        name = self._pick(self._places[:400])
        if self._random.random() < 0.1:
            long = ("République de {}", "Royaume de {}", "Îles {}") if self._french else LONG_NAMES
            return self._pick(long).format(name)
        return name

    def _road(self) -> str:
        """A street's name, without its number."""
        name = self._pick((self._last(), self._person(), self._first(), self._syllables(LAST_ENDINGS)))
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
        area = f"{self._pick(letters)}{self._pick(letters)}{self._random.randint(1, 20)}"
        return f"{area} {self._random.randint(1, 9)}{self._pick(letters)}{self._pick(letters)}"

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
                        f"USS {self._last()}",
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
