"""Made-up values for the slots of training templates: what `Places` makes, organisations, numbers, dates. Nobody's data."""

from __future__ import annotations

import re

from nlu.personal.fold import plain
from nlu.personal.made_places import Places


class Filler(Places):
    """Values for slots, in one language, from one source of randomness."""

    def _title(self) -> str:
        if self._french:
            return self._pick(
                ("M.", "Mme", "Monsieur", "Madame", "Mlle", "Mr", "M", "Dr", "Maître", "le docteur", "Docteur")
            )
        return self._pick(("Mr", "Mrs", "Ms", "Mr.", "Mrs.", "Ms.", "Miss", "Dr", "Dr.", "Sir", "Professor", "Mister"))

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
