"""French sentences with personal data, for evaluation: made from templates and values that training never sees.

`python -m tests.nlu.french_personal > tests/nlu/data/fr_pii_test.jsonl` writes them again: same templates, same bytes. Values are made
up: numbers are random with correct check digits (one in twenty is wrong on purpose), names and streets are drawn from the lists below.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

TEMPLATES = Path(__file__).parent / "data" / "fr_pii_templates.txt"
PER_TEMPLATE = 9
SLOT = re.compile(r"\{(x:)?([a-z_]+)\}")


def words(text: str) -> list[str]:
    """A list, written without quotes; ~ stands for a space within an entry."""
    return [word.replace("~", " ") for word in text.split()]


FIRST = words(
    """Adélaïde Aïcha Alban Amandine Anouk Apolline Armelle Assia Audrey Baptiste Bastien Blandine Boubacar Bérengère Capucine Chantal
Cyprien Djamila Dounia Edwige Elouan Emmanuel Faustine Fatoumata Fleur Gaspard Ghislaine Gwenaëlle Hadrien Hicham Hippolyte
Honorine Ibrahima Ilyes Ivan Jean-Baptiste Jean-Marc Jeanne Kévin Khadija Ludivine Léopold Maëlys Malik Marie-Claude Marion
Mathilde Mehdi Mickaël Mireille Morgane Nadège Noémie Octave Oumar Paulette Philippine Quentin Ramzi Roselyne Salomé Samira Solène
Sylvain Tanguy Théodore Thibault Tiphaine Ugo Valentin Violette Wafa Xavier Yannick Yasmine Youssef Zacharie Zélie"""
)
LAST = words(
    """Abadie Achard Aubry Bacquet Barthélemy Baudouin Belkacem Ben~Amar Bensaïd Berthelot Besnard Bonnefoy Bouvier Bruneau Cazenave
Chabert Charpentier Chauvet Coulibaly Cousin Crépin D'Almeida Da~Silva De~La~Tour De~Smet Delacourt Delmas Deschamps Diallo Didier
Dos~Santos Doucet Dupuy El~Khatib Escoffier Estève Faivre Fontaine Foucault Gaillard Germain Gonçalves Grosjean Guérin Guillou
Haddad Hamel Imbert Jacquot Jouanneau Kaya Keller Kowalski L'Hostis Lachaud Lagarde Lapeyre Le~Bihan Le~Goff Lemoine Leclercq
Lhuillier Maillard Mbaye Mercadier Meunier Morvan N'Diaye Nguyen Oliveira Ozanne Pelletier Peltier Perrot Peyre Pinchon Poirier
Prigent Quéré Rambaud Renaud Ribeiro Rouvière Saïdi Schmitt Tessier Texier Touré Traoré Tran Vaillant Van~Damme Vasseur Verdier
Vidal Weber Yilmaz Zidouni"""
)
STREETS = words(
    """rue~des~Glycines rue~du~Moulin-Vert avenue~Jean-Jaurès boulevard~Victor~Hugo place~du~Marché impasse~des~Tilleuls
chemin~de~la~Fontaine allée~des~Acacias route~de~Vannes quai~des~Chartrons cours~Lafayette rue~du~8~Mai~1945
rue~Pierre~et~Marie~Curie square~des~Poètes rue~de~l'Abbé-Grégoire avenue~du~Général~Leclerc passage~du~Grand~Cerf
rue~Saint-Exupéry sentier~des~Vignes rue~Sainte-Anne faubourg~Saint-Denis rue~Émile~Zola boulevard~de~la~Liberté villa~des~Roses
hameau~des~Bruyères"""
)
CITIES = words(
    """Angoulême Annecy Aubervilliers Bayonne Belfort Blois Brive-la-Gaillarde Carcassonne Châteauroux Cholet Colmar Corbeil-Essonnes
Dunkerque Évreux Fontenay-sous-Bois Gap Guingamp Issy-les-Moulineaux La~Rochelle Laval Le~Mans Lorient Mâcon Montauban Moulins
Niort Pau Périgueux Quimper Roanne Rodez Saint-Brieuc Saint-Étienne Sète Tarbes Troyes Valence Vannes Vichy Villeurbanne"""
)
TITLES = words("M. Mme Monsieur Madame Mademoiselle Mlle Mr Maître Dr")
ORGS = words(
    """Boulangerie~Martin Transports~du~Val SARL~Horizon Menuiserie~Duval~SAS la~CAF Crédit~Agricole l'association~Les~Mésanges
Électricité~Service Garage~des~Alpes SCI~Bellevue"""
)
MONTHS = words("janvier février mars avril mai juin juillet août septembre octobre novembre décembre")
MAIL_HOSTS = words(
    "orange.fr gmail.com wanadoo.fr laposte.net free.fr hotmail.fr mairie-exemple.fr sfr.fr ac-nantes.fr proton.me"
)


def plain(text: str) -> str:
    """Lower-case ASCII of a name, for addresses and user names."""
    table = str.maketrans("àâäçéèêëîïôöùûüÿñ", "aaaceeeeiioouuuyn")
    return re.sub(r"[^a-z]+", "", text.lower().translate(table))


def digits(random: Random, count: int, first: str = "0123456789") -> str:
    return random.choice(first) + "".join(random.choice("0123456789") for _ in range(count - 1))


def luhn(body: str) -> str:
    """`body` with its Luhn check digit."""
    total = sum(sum(divmod(int(d) * (2 if i % 2 == 0 else 1), 10)) for i, d in enumerate(reversed(body)))
    return body + str(-total % 10)


def grouped(text: str, sizes: str, separator: str = " ") -> str:
    """`text` cut into groups of the sizes that the digits of `sizes` name; the last goes on to the end."""
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at : at + int(size)])
        at += int(size)
    return separator.join(part for part in [*parts, text[at:]] if part)


def damaged(random: Random, text: str) -> str:
    """One time in twenty, `text` with its last digit changed, so that its checksum fails."""
    if random.random() >= 0.05:
        return text
    at = max(i for i, letter in enumerate(text) if letter.isdigit())
    return text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]


def person(random: Random) -> str:
    first, last = random.choice(FIRST), random.choice(LAST)
    full = random.choices(
        [f"{first} {last}", f"{first} {last.upper()}", last, first, f"{last.upper()} {first}", f"{first[0]}. {last}"],
        [48, 14, 14, 14, 5, 5],
    )[0]
    return full.lower() if random.random() < 0.1 else full


def address(random: Random) -> str:
    number = str(random.randint(1, 180)) + random.choices(["", " bis", " ter", "B"], [85, 8, 3, 4])[0]
    street, city = random.choice(STREETS), random.choice(CITIES)
    tail = random.choices(
        [f", {postcode(random)} {city}", f" {postcode(random)} {city}", f" à {city}", "", f", {city}"],
        [45, 25, 10, 15, 5],
    )[0]
    comma = random.choice(["", "", ","])
    whole = f"{number}{comma} {street}{tail}"
    return whole.lower() if random.random() < 0.1 else whole


def postcode(random: Random) -> str:
    return f"{random.randint(1, 95):02d}{random.choice(['000', '100', '200', '350', '400', '590', '800'])}"


def phone(random: Random) -> str:
    body = random.choice("1234567699") + digits(random, 8, "23456789")
    pairs = [body[0], *(body[i : i + 2] for i in range(1, 9, 2))]
    return random.choice(
        [
            "0" + " ".join(pairs),
            "0" + ".".join(pairs),
            "0" + body,
            "0" + "-".join(pairs),
            "+33 " + " ".join(pairs),
            "+33" + body,
            "+33 (0)" + " ".join(pairs),
            "0033 " + " ".join(pairs),
            "+32 47" + digits(random, 1, "0789") + " " + grouped(digits(random, 6), "22"),
            "+41 79 " + grouped(digits(random, 7, "23456"), "32"),
        ]
    )


def email(random: Random) -> str:
    first, last = plain(random.choice(FIRST)), plain(random.choice(LAST))
    name = random.choice(
        [f"{first}.{last}", f"{first[0]}{last}", f"{last}{random.randint(1, 99)}", f"{first}_{last}", f"{first}+mairie"]
    )
    whole = f"{name}@{random.choice(MAIL_HOSTS)}"
    return whole.upper() if random.random() < 0.05 else whole


def iban(random: Random) -> str:
    bank = digits(random, 10)
    account = digits(random, 11)
    key = 97 - (89 * int(bank[:5]) + 15 * int(bank[5:]) + 3 * int(account)) % 97
    body = f"{bank}{account}{key:02d}"
    check = 98 - int(body + "152700") % 97  # FR is 15 27
    whole = damaged(random, f"FR{check:02d}{body}")
    return random.choice([whole, grouped(whole, "444444"), grouped(whole, "444444"), whole.lower()])


def bic(random: Random) -> str:
    return random.choice(
        ["BNPAFRPP", "AGRIFRPP", "SOGEFRPP", "CMCIFR2A", "PSSTFRPPPAR", "CEPAFRPP751", "GEBABEBB", "CRLYFRPP"]
    )


def payment_card(random: Random) -> str:
    start = random.choice(["4", "51", "53", "55", "4970"])
    whole = damaged(random, luhn(start + digits(random, 15 - len(start))))
    return random.choice([whole, grouped(whole, "444"), grouped(whole, "444", "-")])


def nir(random: Random) -> str:
    department = random.choice([f"{random.randint(1, 95):02d}"] * 9 + ["2A"])
    body = f"{random.choice('12')}{random.randint(30, 99)}{random.randint(1, 12):02d}{department}{digits(random, 6)}"
    key = 97 - int(body.replace("2A", "19").replace("2B", "18")) % 97
    whole = damaged(random, f"{body}{key:02d}")
    return random.choice(
        [whole, grouped(whole, "122233"), whole[:13] + " " + whole[13:], grouped(whole, "122233", ".")]
    )


def siren(random: Random) -> str:
    whole = damaged(random, luhn(digits(random, 8, "345789")))
    return random.choice([whole, grouped(whole, "33")])


def siret(random: Random) -> str:
    whole = damaged(random, luhn(luhn(digits(random, 8, "345789")) + "000" + digits(random, 1, "1234")))
    return random.choice([whole, grouped(whole, "333"), grouped(whole, "9")])


def vat(random: Random) -> str:
    number = luhn(digits(random, 8, "345789"))
    whole = damaged(random, f"FR{(12 + 3 * (int(number) % 97)) % 97:02d}{number}")
    return random.choice([whole, grouped(whole, "4333"), whole])


def tax_number(random: Random) -> str:
    body = digits(random, 10, "0123")
    whole = damaged(random, f"{body}{int(body) % 511:03d}")
    return random.choice([whole, grouped(whole, "2233")])


def passport(random: Random) -> str:
    return f"{random.randint(10, 24)}{random.choice('ABCDEFH')}{random.choice('ACFIKTVX')}{digits(random, 5)}"


def identity_card(random: Random) -> str:
    old = f"{random.randint(10, 21)}{random.randint(1, 12):02d}{random.randint(1, 95):02d}{digits(random, 6)}"
    return random.choice(
        [
            old,
            "".join(random.choice("BCDFGHJKLMNPRTVWXZ0123456789") for _ in range(7)).join(
                ["X", str(random.randint(1, 9))]
            ),
        ]
    )


def plate(random: Random) -> str:
    letters = "ABCDEFGHJKLMNPQRSTVWXYZ"
    parts = ["".join(random.choices(letters, k=2)), digits(random, 3), "".join(random.choices(letters, k=2))]
    old = f"{random.randint(10, 9999)} {''.join(random.choices(letters, k=2))} {random.randint(1, 95):02d}"
    return random.choice(["-".join(parts), " ".join(parts), "".join(parts), "-".join(parts).lower(), old])


def date(random: Random) -> str:
    return f"{random.randint(1, 28)} {random.choice(MONTHS)} {random.choice(['2025', '2026', ''])}".strip()


def date_of_birth(random: Random) -> str:
    day, month, year = random.randint(1, 28), random.randint(1, 12), random.randint(1935, 2021)
    return random.choice(
        [
            f"{day:02d}/{month:02d}/{year}",
            f"{day} {MONTHS[month - 1]} {year}",
            f"{day:02d}-{month:02d}-{year}",
            f"{day:02d}.{month:02d}.{year}",
        ]
    )


def ip(random: Random) -> str:
    four = f"{random.choice([37, 78, 82, 90, 109, 192])}.{random.randint(0, 255)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
    six = f"2a01:e0a:{random.randint(1, 65535):x}:{random.randint(1, 65535):x}::{random.randint(1, 255):x}"
    return random.choice([four, four, six])


def mac(random: Random) -> str:
    return random.choice([":", "-"]).join(f"{random.randint(0, 255):02X}" for _ in range(6))


def url(random: Random) -> str:
    user = f"{plain(random.choice(FIRST))}.{plain(random.choice(LAST))}"
    return random.choice(
        [
            f"https://www.facebook.com/{user}",
            f"https://www.linkedin.com/in/{user.replace('.', '-')}",
            f"instagram.com/{user}",
            f"https://twitter.com/{user.replace('.', '_')}",
        ]
    )


KINDS: dict[str, Callable[[Random], str]] = {
    kind.__name__: kind
    for kind in (
        person,
        address,
        postcode,
        phone,
        email,
        iban,
        bic,
        payment_card,
        nir,
        siren,
        siret,
        vat,
        tax_number,
        passport,
        identity_card,
        plate,
        date_of_birth,
        ip,
        mac,
        url,
    )
}
OTHERS: dict[str, Callable[[Random], str]] = {
    "title": lambda random: random.choice(TITLES),
    "city": lambda random: random.choice(CITIES),
    "org": lambda random: random.choice(ORGS),
    "date": date,
    "amount": lambda random: f"{random.randint(2, 400)},{random.randint(0, 99):02d} €",
    "number": lambda random: str(random.randint(2, 99999)),
}


def fill(template: str, random: Random) -> dict[str, Any]:
    """One sentence: {"text", "spans": [{"start", "end", "entity"}], "template"}."""
    text, spans, at = "", [], 0
    for slot in SLOT.finditer(template):
        text += template[at : slot.start()]
        value = (OTHERS if slot[1] else KINDS)[slot[2]](random)
        if not slot[1]:
            spans.append({"start": len(text), "end": len(text) + len(value), "entity": slot[2]})
        text += value
        at = slot.end()
    return {"text": text + template[at:], "spans": spans, "template": template}


def sentences(seed: int = 20_26) -> Iterator[dict[str, Any]]:
    random = Random(seed)
    for line in TEMPLATES.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            template = line.replace("\\n", "\n")
            seen: set[str] = set()
            for _ in range(PER_TEMPLATE):
                one = fill(template, random)
                if one["text"] not in seen:
                    seen.add(one["text"])
                    yield one


if __name__ == "__main__":
    for sentence in sentences():
        sys.stdout.write(json.dumps(sentence, ensure_ascii=False) + "\n")
