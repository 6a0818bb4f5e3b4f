"""What French says of days, hours, lengths, money and numbers, as `canonical` writes it: no accents, number words as digits."""

from __future__ import annotations

import re

from nlu.entities.grammar import amounts, calendar, clock
from nlu.entities.grammar.canonical import EURO, POUND, YEN
from nlu.entities.grammar.reading import Rule, Words, alternatives, filled

_WEEKDAYS = dict(zip(["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"], range(7), strict=True))
_SHORT_WEEKDAYS = dict(zip(["lun", "mar", "mer", "jeu", "ven", "sam", "dim"], range(7), strict=True))
_MONTHS = dict(
    zip(
        [
            "janvier",
            "fevrier",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "aout",
            "septembre",
            "octobre",
            "novembre",
            "decembre",
        ],
        range(1, 13),
        strict=True,
    )
)
_SHORT_MONTHS = {
    "janv": 1, "jan": 1, "fevr": 2, "fev": 2, "avr": 4, "juil": 7, "sept": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_UNITS = {
    "seconde": ("seconds", 1), "secondes": ("seconds", 1), "sec": ("seconds", 1),
    "minute": ("minutes", 1), "minutes": ("minutes", 1), "min": ("minutes", 1), "mins": ("minutes", 1), "mn": ("minutes", 1),
    "heure": ("hours", 1), "heures": ("hours", 1), "h": ("hours", 1),
    "jr": ("days", 1), "jrs": ("days", 1),
    "jour": ("days", 1), "jours": ("days", 1), "j": ("days", 1), "journee": ("days", 1), "journees": ("days", 1),
    "semaine": ("weeks", 1), "semaines": ("weeks", 1), "sem": ("weeks", 1), "quinzaine": ("days", 15),
    "mois": ("months", 1), "trimestre": ("months", 3), "trimestres": ("months", 3),
    "an": ("years", 1), "ans": ("years", 1), "annee": ("years", 1), "annees": ("years", 1),
}  # fmt: skip
_TURNS = {
    "prochain": 1, "prochaine": 1, "suivant": 1, "suivante": 1, "dernier": -1, "derniere": -1, "passe": -1, "passee": -1,
    "precedent": -1, "precedente": -1, "ce": 0, "cet": 0, "cette": 0,
}  # fmt: skip
_CURRENCIES = {
    EURO: "EUR", "euro": "EUR", "euros": "EUR", "eur": "EUR", "balles": "EUR", "$": "USD", "dollar": "USD", "dollars": "USD",
    "usd": "USD", "dollars americains": "USD", "dollars canadiens": "CAD", "cad": "CAD", POUND: "GBP", "livres sterling": "GBP",
    "livre sterling": "GBP", "gbp": "GBP", YEN: "JPY", "yen": "JPY", "yens": "JPY", "jpy": "JPY", "francs suisses": "CHF",
    "franc suisse": "CHF", "chf": "CHF", "francs cfa": "XOF", "fcfa": "XOF", "xof": "XOF", "dirhams": "MAD", "mad": "MAD",
    "centime": "EUR", "centimes": "EUR", "centimes d'euro": "EUR",
}  # fmt: skip
_COINS = {word: code for word, code in _CURRENCIES.items() if word.startswith("centime")}
_BILLS = {word: code for word, code in _CURRENCIES.items() if word not in _COINS}
_AROUND_CLOCK = re.compile(
    r"(?:\b(?:a|vers|des|avant|apres|jusqu'a|entre|et|de|d'ici|il est|demain|hier|aujourd'hui|matin|soir|midi|rdv|rendez vous|reunion"
    r"|(?:lun|mar|mercre|jeu|vendre|same)di|dimanche|" + "|".join(_MONTHS) + r")|\b20\d\d|/\d\d?|@|[(])[ ,]*$"
)
_DAY_ENDS = re.compile(
    r"\s*(?:$|[.,;:!?)~]|(?:a|vers|et|ou|au|pour|avant|apres|entre|de \d|s'il|svp|stp|merci|matin|midi|soir|si|c'est|je|on|par|dans|en|"
    r"prochain|est|mais|car|chez|avec|sans|ce|\d\d?h)\b)"
)
_LASTING = re.compile(
    r"\b(?:pendant|durant|en|dans|depuis|il y a|duree de|d'une duree de|tout(?:es)? les|toutes les|au moins|au plus|encore|plus de"
    r"|moins de|sous|pour|environ|dure|durer|prend|attendre|attendu|reste)[ :]*$"
)

WORDS = Words(
    weekdays=_WEEKDAYS | _SHORT_WEEKDAYS,
    months=_MONTHS | _SHORT_MONTHS,
    units=_UNITS,
    days={
        "aujourd'hui": 0, "aujourdhui": 0, "ajd": 0, "aujd": 0, "auj": 0, "ce jour": 0, "demain": 1, "dmain": 1, "2main": 1,
        "apres demain": 2, "apres 2main": 2, "hier": -1, "avant hier": -2,
    },
    turns=_TURNS,
    parts={
        "matin": (6, 12), "matinee": (6, 12), "apres midi": (12, 18), "aprem": (12, 18), "aprm": (12, 18), "soir": (18, 24),
        "soiree": (18, 24), "nuit": (22, 30), "fin de matinee": (10, 12), "debut d'apres midi": (12, 14),
        "debut de matinee": (6, 9), "fin d'apres midi": (16, 18), "fin de journee": (16, 19), "debut de soiree": (18, 20),
        "fin de soiree": (21, 24),
    },
    holidays={
        "noel": (12, 25), "jour de noel": (12, 25), "reveillon de noel": (12, 24), "veille de noel": (12, 24),
        "jour de l'an": (1, 1), "nouvel an": (1, 1), "saint sylvestre": (12, 31), "saint valentin": (2, 14),
        "fete du travail": (5, 1), "fete nationale": (7, 14), "assomption": (8, 15), "toussaint": (11, 1), "armistice": (11, 11),
    },
    currencies=_CURRENCIES,
    scales={
        "k": 1_000, "mille": 1_000, "million": 1_000_000, "millions": 1_000_000, "m": 1_000_000, "milliard": 10**9,
        "milliards": 10**9,
    },
    decimal_comma=True,
    dial=False,
    next_is_coming=True,
    around_clock=lambda before, after: _AROUND_CLOCK.search(before) is not None,
    day_may_end=lambda after: _DAY_ENDS.match(after) is not None,
    lasting=lambda before: _LASTING.search(before) is not None,
)  # fmt: skip

_FRAGMENTS = {
    "<WEEKDAY>": alternatives(_WEEKDAYS),
    "<ANYDAY>": alternatives(_WEEKDAYS | _SHORT_WEEKDAYS),
    "<MONTH>": alternatives(_MONTHS | _SHORT_MONTHS),
    "<FULLMONTH>": alternatives(_MONTHS),
    "<UNIT>": alternatives(_UNITS),
    "<DAYS>": alternatives(WORDS.days),
    "<HOLIDAY>": alternatives(WORDS.holidays),
    "<PART>": alternatives(WORDS.parts),
    "<BILL>": alternatives(_BILLS),
    "<COIN>": alternatives(_COINS),
    "<SCALE>": r"k|m|mille|millions?|milliards?",
    "<NUM>": r"\d{1,3}(?:[ .]\d{3}){1,4}(?:,\d{1,6})?\b|\d{1,15}(?:[.,]\d{1,6})?",
    "<YEAR>": r"(?:1[5-9]|2[01])\d\d",
    "<TURN>": r"prochaine?|suivante?|derniere?|passee?|precedente?",
    "<DAY>": r"\d{1,2}",
    "<N>": r"\d{1,3}(?: \d{3}){1,2}|\d{1,9}(?:[.,]\d{1,3})?",
}
"""What stands for what in the patterns below."""

_LENGTHS = (
    r"(?P<n><N>) ?(?P<unit><UNIT>)\b(?: et (?:(?P<and_half>demie?)|(?P<and_quarter>quart))\b"
    r"|(?: et|,)? (?P<n2>\d{1,2}) ?(?P<unit2><UNIT>)\b)?",
    r"(?P<n>\d{1,2}) ?(?P<unit>h|heures?) ?(?P<n2>[0-5]\d)(?: ?(?:min|mn|minutes))?\b",
    r"(?:1 )?(?P<half_unit>demie?) (?P<unit>heure|journee)\b",
    r"(?:(?P<quarters>\d) )?quarts? d'(?P<unit>heure)\b",
    r"1 (?P<unit>quinzaine)(?: de jours)?\b",
)

_RULES = (
    Rule(calendar.iso_date, r"\b(?P<y><YEAR>)-(?P<m>\d\d)-(?P<d>\d\d)\b"),
    Rule(
        calendar.numeric_date,
        r"\b(?P<a>\d{1,2}) ?/ ?(?P<b>\d{1,2})(?: ?/ ?(?P<y>\d{4}|\d{2}))?\b",
    ),
    Rule(calendar.numeric_date, r"\b(?P<a>\d{1,2})[.-](?P<b>\d{1,2})[.-](?P<y>\d{4}|\d{2})\b"),
    Rule(
        calendar.day_month,
        r"\b(?:(?P<wd><ANYDAY>)\b\.?,? (?:le )?)?(?P<d><DAY>)(?:er|e|eme)? ?(?:de )?(?P<m><MONTH>)\b(?:\.? (?:de )?(?P<y><YEAR>)\b)?",
    ),
    Rule(
        calendar.day_month_range,
        r"\b(?:du |de |entre le |d')?(?:<WEEKDAY>)? ?(?P<a_d><DAY>)(?:er)? ?(?:au|et le|et|a|-|jusqu'au) (?:<WEEKDAY>)? ?"
        r"(?P<d><DAY>)(?:er)? (?P<m><MONTH>)\b(?:\.? (?P<y><YEAR>)\b)?",
    ),
    Rule(calendar.day_range, r"\bdu (?P<a_d><DAY>)(?:er)? au (?P<b_d><DAY>)\b"),
    Rule(
        calendar.day_of_month,
        r"\b(?P<span>(?:(?P<wd><WEEKDAY>) )?le (?P<d><DAY>)(?:er)? du mois (?:(?P<turn><TURN>)\b)?)",
    ),
    Rule(calendar.day_of_month, r"\b(?:le|au|du) (?P<span>(?P<d><DAY>)(?:er)? du mois (?P<turn><TURN>))\b"),
    Rule(calendar.day_of_month, r"\b(?:le|<PART> du) (?P<span>(?P<d><DAY>)(?:er)?)\b"),
    Rule(calendar.day_of_month, r"\b(?P<wd><WEEKDAY>) (?:le )?(?P<d><DAY>)(?:er)?\b"),
    Rule(calendar.weekday, r"\b(?P<wd><WEEKDAY>)(?: (?P<turn><TURN>)| en (?P<weeks>8|15))?\b"),
    Rule(calendar.weekday, r"\b(?P<turn>ce) (?P<wd><WEEKDAY>)\b"),
    Rule(calendar.named_day, r"\b(?P<name><DAYS>)\b"),
    Rule(calendar.holiday, r"\b(?P<name><HOLIDAY>)\b(?: (?P<y><YEAR>)\b)?"),
    Rule(calendar.week_month_year, r"\b(?P<turn>cette|ce) (?P<unit>semaine|mois|annee)\b"),
    Rule(calendar.week_month_year, r"\b(?P<unit>semaine|mois|annee|an) (?P<turn><TURN>)\b"),
    Rule(
        calendar.third_of_period,
        r"\b(?:(?P<third0>debut)|(?P<third1>mi|milieu)|(?P<third2>fin|courant fin))(?: du| de la| de l'| de| d')?(?: cette| ce)? ?"
        r"(?P<unit>semaine|mois|annee)\b(?: (?P<turn><TURN>)\b)?",
    ),
    Rule(
        calendar.third_of_period,
        r"\b(?:(?P<third0>debut)|(?P<third1>mi|milieu)|(?P<third2>fin))(?: du mois)?(?: de| d')? ?(?P<m><MONTH>)\b"
        r"(?: (?P<y><YEAR>)\b| (?P<turn><TURN>)\b)?",
    ),
    Rule(
        calendar.month,
        r"\b(?:(?:en|au mois de|au mois d'|du mois de|du mois d'|courant|mois de|mois d') ?)(?P<span>(?P<m><MONTH>)\b"
        r"(?: (?P<y><YEAR>)\b| (?P<turn><TURN>)\b)?)",
    ),
    Rule(calendar.month, r"\b(?P<m><FULLMONTH>)(?: (?P<y><YEAR>)| (?P<turn><TURN>))\b"),
    Rule(calendar.month, r"\b(?P<m><FULLMONTH>)\b"),
    Rule(calendar.year, r"\b(?:en|depuis|avant|apres|annee|jusqu'en|l'an|des|fin|debut) (?P<span>(?P<y><YEAR>))\b"),
    Rule(calendar.year_range, r"\b(?:entre|de) (?P<a_y><YEAR>) (?:et|a) (?P<y><YEAR>)\b"),
    Rule(calendar.weekend, r"\b(?:ce |cet )?(?:week ?end|we)(?: (?P<turn><TURN>)\b)?"),
    Rule(
        calendar.coming_units,
        r"\b(?:les|ces|des|aux?) (?P<span>(?P<n>\d{1,4}) (?:(?P<ahead>prochaine?s?)|(?P<back>derniere?s?)) (?P<unit><UNIT>))\b",
    ),
    Rule(
        clock.hours,
        r"\b(?P<h>\d{1,2}) ?(?:heures?|(?P<short>h))(?: ?(?P<mi>[0-5]\d)(?: ?(?P<minutes>min|mn|minutes))?\b"
        r"|\b(?: (?:(?P<half>et demie?)|(?P<quarter>et quart)|(?P<less_quarter>moins (?:le |1 )?quart)|moins (?P<less>\d{1,2})"
        r"|et (?P<more>[0-5]?\d)|(?P<five>0?5))\b)?)"
        r"(?: (?P<mark>du matin|du mat|de l'apres midi|de l'aprem|du soir|pile|precises?|tapantes))?",
    ),
    *(
        Rule(read, rf"\b(?:{before}){length}")
        for read, before in (
            (clock.after_length, "(?:dans|ds) (?:environ |a peu pres )?"),
            (clock.before_length, "(?:il y a|y a|ca fait) (?:environ )?"),
            (clock.within_length, "(?:sous|d'ici(?: a)?) "),
            (clock.since_length, "depuis (?:environ )?"),
            (clock.length, ""),
        )
        for length in _LENGTHS
    ),
    Rule(
        clock.clock_and_part,
        r"\b(?P<name>midi|minuit)(?: (?:(?P<half>et demie?)|(?P<quarter>et quart)|(?P<less_quarter>moins (?:le |1 )?quart)"
        r"|moins (?P<less>\d{1,2})|(?:et )?(?P<more>[0-5]\d)))?\b",
    ),
    Rule(clock.clock, r"\b(?P<h>[01]?\d|2[0-4]):(?P<mi>[0-5]\d)(?::(?P<s>[0-5]\d))?\b"),
    Rule(
        clock.time_range,
        r"\b(?:entre|de) (?P<a_h>\d{1,2})(?: ?h(?P<a_mi>[0-5]\d)?)? (?:et|a) (?P<h>\d{1,2}) ?(?:heures?|h)(?: ?(?P<mi>[0-5]\d))?\b"
        r"(?: (?P<mark>du matin|de l'apres midi|du soir))?",
    ),
    Rule(clock.time_range, r"\b(?P<a_h>\d{1,2})(?: ?h(?P<a_mi>[0-5]\d)?)? ?- ?(?P<h>\d{1,2}) ?h(?P<mi>[0-5]\d)?\b"),
    Rule(clock.now, r"\b(?:maintenant|tout de suite|immediatement)\b"),
    Rule(clock.last_part_of_day, r"\b(?P<part>nuit) derniere\b"),
    Rule(clock.part_of_day, r"\b(?P<today>ce|cet|cette) (?P<part><PART>)\b"),
    Rule(clock.part_of_day, r"\b(?:le|la|l'|dans la|dans l'|du|au|en|de) ?(?P<span>(?P<part><PART>))\b"),
    Rule(clock.part_of_day, r"\b(?P<part><PART>)\b"),
    Rule(
        amounts.money,
        r"(?:^|\b)(?P<n><NUM>)(?: ?(?P<scale><SCALE>)\b)? ?(?:d')?(?P<cur><BILL>)(?:(?: et)? ?(?P<cents>\d\d)\b"
        r"(?: (?:centimes?|cts?|cents?)\b)?)?",
    ),
    Rule(
        amounts.money,
        r"(?P<cur>\$|"
        + f"{EURO}|{POUND}|{YEN}"
        + r"|\beur|\busd|\bgbp|\bchf) ?(?P<n><NUM>)(?: ?(?P<scale><SCALE>)\b)?",
    ),
    Rule(amounts.money, r"\b(?P<cents>\d{1,2}) (?P<cur><COIN>)\b"),
    Rule(amounts.percent, r"\b(?P<n><NUM>) ?(?:%|pour ?cents?\b|pourcents?\b)"),
    Rule(amounts.ordinal, r"\b(?P<n>\d{1,4})(?:er|ere|ers|eres|e|eme|emes|nd|nde)\b"),
    Rule(amounts.plain_number, r"(?:(?P<minus>-)|\b)(?P<n><NUM>)(?: (?P<scale>millions?|milliards?))?\b"),
)

RULES = tuple(Rule(rule.read, filled(rule.pattern, _FRAGMENTS)) for rule in _RULES)
