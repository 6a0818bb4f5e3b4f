"""What English says of days, hours, lengths, money and numbers, as `canonical` writes it: number words as digits."""

from __future__ import annotations

import re

from nlu.entities.grammar import amounts, calendar, clock
from nlu.entities.grammar.canonical import EURO, POUND, YEN
from nlu.entities.grammar.reading import Rule, Words, alternatives, filled

_WEEKDAYS = dict(
    zip(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], range(7), strict=True)
)
_SHORT_WEEKDAYS = {
    "mon": 0,
    "tue": 1,
    "tues": 1,
    "wed": 2,
    "thu": 3,
    "thur": 3,
    "thurs": 3,
    "fri": 4,
    "sat": 5,
    "sun": 6,
}
_MONTHS = dict(
    zip(
        [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ],
        range(1, 13),
        strict=True,
    )
)
_SHORT_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "jun": 6, "jul": 7, "aug": 8, "sept": 9, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_SURE_MONTHS = {name: number for name, number in _MONTHS.items() if name not in {"march", "may"}}
_UNITS = {
    "second": ("seconds", 1), "seconds": ("seconds", 1), "sec": ("seconds", 1), "secs": ("seconds", 1),
    "minute": ("minutes", 1), "minutes": ("minutes", 1), "min": ("minutes", 1), "mins": ("minutes", 1),
    "hour": ("hours", 1), "hours": ("hours", 1), "hr": ("hours", 1), "hrs": ("hours", 1), "h": ("hours", 1),
    "day": ("days", 1), "days": ("days", 1), "week": ("weeks", 1), "weeks": ("weeks", 1), "wk": ("weeks", 1), "wks": ("weeks", 1),
    "fortnight": ("weeks", 2), "fortnights": ("weeks", 2), "month": ("months", 1), "months": ("months", 1),
    "year": ("years", 1), "years": ("years", 1), "yr": ("years", 1), "yrs": ("years", 1), "decade": ("years", 10),
    "decades": ("years", 10),
}  # fmt: skip
_TURNS = {"next": 1, "following": 1, "coming": 0, "this": 0, "this coming": 0, "last": -1, "past": -1, "previous": -1}
_CURRENCIES = {
    EURO: "EUR", "euro": "EUR", "euros": "EUR", "eur": "EUR", "$": "USD", "us$": "USD", "dollar": "USD", "dollars": "USD", "usd": "USD",
    "us dollars": "USD", "bucks": "USD", "buck": "USD", "canadian dollars": "CAD", "cad": "CAD", "australian dollars": "AUD",
    "aud": "AUD", POUND: "GBP", "pounds sterling": "GBP", "pounds": "GBP", "pound": "GBP", "quid": "GBP", "gbp": "GBP",
    YEN: "JPY", "yen": "JPY", "jpy": "JPY", "swiss francs": "CHF", "chf": "CHF", "rupees": "INR", "inr": "INR", "pesos": "MXN",
    "cent": "USD", "cents": "USD", "pence": "GBP",
}  # fmt: skip
_COINS = {word: code for word, code in _CURRENCIES.items() if word in {"cent", "cents", "pence"}}
_BILLS = {word: code for word, code in _CURRENCIES.items() if word not in _COINS}
_AROUND_CLOCK = re.compile(
    r"\s*(?:$|[.,;:!?)~]|(?:on|today|tomorrow|tonight|in the|at night|for|please|and|or|sharp|this|next|with|to|until|till|but|every"
    r"|if|so|then|because|thanks|" + "|".join(_WEEKDAYS) + "|" + "|".join(_MONTHS) + r")\b)"
)
_LASTING = re.compile(
    r"\b(?:for|within|during|about|takes?|lasts?|over|under|than|least|most|another|after|spend|spent|around|every|is|of)[ :]*$"
)

WORDS = Words(
    weekdays=_WEEKDAYS | _SHORT_WEEKDAYS,
    months=_MONTHS | _SHORT_MONTHS,
    units=_UNITS | {"m": ("minutes", 1)},
    days={
        "today": 0, "tomorrow": 1, "tmrw": 1, "tmr": 1, "2moro": 1, "2morrow": 1, "tomorow": 1, "tommorow": 1, "tomorrrow": 1,
        "day after tomorrow": 2, "yesterday": -1, "day before yesterday": -2,
    },
    turns=_TURNS,
    parts={
        "morning": (6, 12), "afternoon": (12, 18), "evening": (18, 24), "night": (22, 30), "tonight": (18, 24),
        "early morning": (5, 8), "early afternoon": (12, 14), "early evening": (17, 19), "late morning": (10, 12),
        "late afternoon": (16, 18), "late evening": (21, 24), "end of the day": (16, 19),
    },
    holidays={
        "christmas": (12, 25), "christmas day": (12, 25), "christmas eve": (12, 24), "xmas": (12, 25), "boxing day": (12, 26),
        "new year's day": (1, 1), "new years day": (1, 1), "new year's eve": (12, 31), "new years eve": (12, 31),
        "valentine's day": (2, 14), "valentines day": (2, 14), "halloween": (10, 31), "independence day": (7, 4),
        "bastille day": (7, 14), "st patrick's day": (3, 17),
    },
    currencies=_CURRENCIES,
    scales={
        "k": 1_000, "thousand": 1_000, "m": 1_000_000, "million": 1_000_000, "millions": 1_000_000, "bn": 10**9, "billion": 10**9,
    },
    decimal_comma=False,
    dial=True,
    next_is_coming=False,
    around_clock=lambda before, after: _AROUND_CLOCK.match(after) is not None,
    day_may_end=lambda after: _AROUND_CLOCK.match(after) is not None or re.match(r" (?:at|from|between|before)\b", after) is not None,
    lasting=lambda before: _LASTING.search(before) is not None,
)  # fmt: skip

_FRAGMENTS = {
    "<WEEKDAY>": alternatives(_WEEKDAYS),
    "<ANYDAY>": alternatives(_WEEKDAYS | _SHORT_WEEKDAYS),
    "<MONTH>": alternatives(_MONTHS | _SHORT_MONTHS),
    "<SUREMONTH>": alternatives(_SURE_MONTHS),
    "<FULLMONTH>": alternatives(_MONTHS),
    "<UNIT>": alternatives(_UNITS),
    "<DAYS>": alternatives(WORDS.days),
    "<HOLIDAY>": alternatives(WORDS.holidays),
    "<PART>": alternatives(WORDS.parts),
    "<BILL>": alternatives(_BILLS),
    "<COIN>": alternatives(_COINS),
    "<SCALE>": r"k|m|thousand|millions?|billion|bn",
    "<NUM>": r"\d{1,3}(?:,\d{3}){1,4}(?:\.\d{1,6})?\b|\d{1,15}(?:[.,]\d{1,6})?",
    "<N>": r"\d{1,3}(?:,\d{3}){1,2}|\d{1,9}(?:\.\d{1,3})?",
    "<YEAR>": r"(?:1[5-9]|2[01])\d\d|(?:19|20) \d\d",
    "<TURN>": r"next|following|this coming|coming|this|last|past|previous",
    "<DAY>": r"\d{1,2}",
    "<TH>": r"st|nd|rd|th",
    "<MARK>": r"am|pm|a\.m\.?|p\.m\.?|a m|p m|in the (?:morning|afternoon|evening)|at night|tonight",
}
"""What stands for what in the patterns below."""

_LENGTHS = (
    r"(?P<n><N>|an?(?: couple(?: of)?)?|couple of) ?(?P<unit><UNIT>)\b(?: and (?:a |1 )?(?:(?P<and_half>half)|(?P<and_quarter>quarter))\b"
    r"|(?: and|,)? ?(?P<n2>\d{1,2}) ?(?P<unit2><UNIT>|m)\b)?",
    r"(?P<n><N>) (?P<and_half>and (?:a |1 )?half|1/2) (?P<unit><UNIT>)\b",
    r"(?:an? |1 )?(?P<half_unit>half) (?:an? )?(?P<unit>hour|day|year)\b",
    r"(?:an? |(?P<quarters>\d) )?quarters? of an (?P<unit>hour)\b",
)

_RULES = (
    Rule(calendar.iso_date, r"\b(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)\b"),
    Rule(calendar.numeric_date, r"\b(?P<a>\d{1,2}) ?/ ?(?P<b>\d{1,2})(?: ?/ ?(?P<y>\d{4}|\d{2}))?\b"),
    Rule(calendar.numeric_date, r"\b(?P<a>\d{1,2})[.-](?P<b>\d{1,2})[.-](?P<y>\d{4}|\d{2})\b"),
    Rule(
        calendar.day_month,
        r"\b(?:(?P<wd><ANYDAY>)\b\.?,? (?:the )?)?(?P<d><DAY>)(?:<TH>)? ?(?:of )?(?P<m><MONTH>)\b(?:\.?,? (?:of )?(?P<y><YEAR>)\b)?",
    ),
    Rule(
        calendar.day_month,
        r"\b(?:(?P<wd><ANYDAY>)\b\.?,? )?(?P<m><MONTH>)\.? (?:the )?(?P<d><DAY>)(?:<TH>)?\b(?:,? (?P<y><YEAR>)\b)?",
    ),
    Rule(
        calendar.day_month_range,
        r"\b(?:from |between )?(?P<m><MONTH>) (?P<a_d><DAY>)(?:<TH>)? ?(?:to|and|-|until|through) ?(?P<d><DAY>)(?:<TH>)?\b"
        r"(?:,? (?P<y><YEAR>)\b)?",
    ),
    Rule(
        calendar.day_month_range,
        r"\b(?:from |between )?(?:the )?(?P<a_d><DAY>)(?:<TH>)? ?(?:to|and|-|until|through) ?(?:the )?(?P<d><DAY>)(?:<TH>)?"
        r" (?:of )?(?P<m><MONTH>)\b(?: (?P<y><YEAR>)\b)?",
    ),
    Rule(calendar.day_of_month, r"\b(?P<span>(?P<d><DAY>)(?:<TH>) of (?P<turn>next|this|last) month)\b"),
    Rule(
        calendar.day_of_month,
        r"\b(?:on|by|before|after|until|till|since|from|to|for|is|was|be|in|date|date of) the (?P<span>(?P<d><DAY>)(?:<TH>))\b",
    ),
    Rule(calendar.day_of_month, r"\b(?P<wd><WEEKDAY>),? (?:the )?(?P<d><DAY>)(?:<TH>)\b"),
    Rule(calendar.weekday, r"\b(?:(?P<turn><TURN>) )?(?P<wd><WEEKDAY>)\b"),
    Rule(calendar.weekday, r"\b(?P<wd><WEEKDAY>) (?P<turn>next)\b"),
    Rule(calendar.weekday, r"\bon (?P<span>(?P<wd>mon|tue|tues|wed|thu|thurs|fri|sat))\b"),
    Rule(calendar.weekday, r"\b(?P<turn>next|this|last|this coming) (?P<wd>mon|tue|tues|wed|thu|thurs|fri)\b"),
    Rule(calendar.weekday, r"\b(?:(?P<weeks>1) )?week (?:on|from) (?P<wd><WEEKDAY>)\b"),
    Rule(calendar.named_day, r"\b(?:the )?(?P<name><DAYS>)\b"),
    Rule(calendar.holiday, r"\b(?P<name><HOLIDAY>)\b(?: (?P<y><YEAR>)\b)?"),
    Rule(calendar.week_month_year, r"\b(?P<turn>next|following|this|last|past|previous) (?P<unit>week|month|year)\b"),
    Rule(
        calendar.third_of_period,
        r"\b(?:(?P<third0>beginning|start|early)|(?P<third1>middle|mid)|(?P<third2>end|late)) (?:of )?(?:the )?"
        r"(?:(?P<turn>next|this|last) )?(?P<unit>week|month|year)\b",
    ),
    Rule(
        calendar.third_of_period,
        r"\b(?:(?P<third0>beginning of|start of|early)|(?P<third1>middle of|mid)|(?P<third2>end of|late))[ -](?P<m><FULLMONTH>)\b"
        r"(?: (?P<y><YEAR>)\b)?",
    ),
    Rule(
        calendar.month,
        r"\b(?:in|of|during|since|until|till|by|for|month of|through) (?P<span>(?P<m><FULLMONTH>)\b(?: (?:of )?(?P<y><YEAR>)\b)?)",
    ),
    Rule(calendar.month, r"\b(?P<turn>next|this|last) (?P<m><FULLMONTH>)\b"),
    Rule(calendar.month, r"\b(?P<m><FULLMONTH>),? (?P<y><YEAR>)\b"),
    Rule(calendar.month, r"\b(?P<m><SUREMONTH>)\b"),
    Rule(calendar.year, r"\b(?:in|since|before|after|until|year|by|of|from|during) (?P<span>(?P<y><YEAR>))\b"),
    Rule(calendar.year_range, r"\b(?:between|from) (?P<a_y><YEAR>) (?:and|to|until) (?P<y><YEAR>)\b"),
    Rule(calendar.weekend, r"\b(?:(?P<turn>this coming|this|next|last|past|coming) )?week ?end\b"),
    Rule(
        calendar.coming_units,
        r"\b(?:the |these |over the )?(?:(?P<ahead>next|coming|following)|(?P<back>last|past|previous)) (?:(?P<n>\d{1,4}) |couple of )"
        r"(?P<unit><UNIT>)\b",
    ),
    *(
        Rule(read, pattern.replace("<LENGTH>", length))
        for read, pattern in (
            (clock.after_length, r"\bin (?:about |around )?<LENGTH>"),
            (clock.before_length, r"\b<LENGTH> ago\b"),
            (clock.after_length, r"\b<LENGTH> from (?:now|today)\b"),
            (clock.within_length, r"\b(?:within|in the next) <LENGTH>"),
            (clock.length, r"\b<LENGTH>"),
        )
        for length in _LENGTHS
    ),
    Rule(
        clock.clock,
        r"\b(?P<h>\d{1,2})(?:[:.h](?P<mi>[0-5]\d)(?::(?P<s>[0-5]\d))?| (?P<mi2>[0-5]\d))?(?: ?o'? ?clock)? ?(?P<mark><MARK>)",
    ),
    Rule(clock.clock, r"\b(?P<h>[01]?\d|2[0-4]):(?P<mi>[0-5]\d)(?::(?P<s>[0-5]\d))?\b"),
    Rule(clock.clock, r"\b(?P<h>\d{1,2}) ?o'? ?clock\b"),
    Rule(clock.clock, r"\b(?P<name>noon|midnight|midday)\b"),
    Rule(
        clock.clock_and_part,
        r"\b(?:a )?(?:(?P<half>half)|(?P<quarter>quarter)|(?P<more>[0-5]?\d)(?P<minutes> minutes)?) (?:past|after) "
        r"(?:(?P<h>\d{1,2})|(?P<name>noon|midnight|midday))\b(?: ?(?P<mark><MARK>))?",
    ),
    Rule(
        clock.clock_and_part,
        r"\b(?:a )?(?:(?P<less_quarter>quarter)|(?P<less>[0-5]?\d)(?P<minutes> minutes)?) (?:to|till|before) "
        r"(?:(?P<h>\d{1,2})|(?P<name>noon|midnight|midday))\b(?: ?(?P<mark><MARK>))?",
    ),
    Rule(
        clock.bare_clock,
        r"\b(?:at|before|after|until|till|by|around|about|from) (?:around |about )?(?P<span>(?P<h>\d{1,2})(?: (?P<mi>[0-5]\d))?)\b",
    ),
    Rule(
        clock.time_range,
        r"\b(?:between |from )?(?P<a_h>\d{1,2})(?::(?P<a_mi>[0-5]\d))? ?(?:and|to|-|until|till) ?(?P<h>\d{1,2})(?::(?P<mi>[0-5]\d))? ?"
        r"(?P<mark><MARK>)",
    ),
    Rule(
        clock.bare_time_range,
        r"\bfrom (?P<a_h>\d{1,2})(?::(?P<a_mi>[0-5]\d))? (?:to|until|till) (?P<h>\d{1,2})(?::(?P<mi>[0-5]\d))?\b",
    ),
    Rule(clock.now, r"\b(?:right now|now|immediately)\b"),
    Rule(clock.last_part_of_day, r"\blast (?P<part>night)\b"),
    Rule(clock.part_of_day, r"\b(?P<today>this) (?P<part><PART>)\b"),
    Rule(clock.part_of_day, r"\b(?P<today>(?P<part>tonight))\b"),
    Rule(clock.part_of_day, r"\b(?:in the |at the |during the |at )?(?P<span>(?P<part><PART>))\b"),
    Rule(
        amounts.money,
        r"\b(?P<n><NUM>)(?: ?(?P<scale><SCALE>)\b)? ?(?P<cur><BILL>)(?:(?: and|,)? (?P<cents>\d\d)\b(?: (?:cents?|pence|p)\b)?)?",
    ),
    Rule(
        amounts.money,
        r"(?P<cur>us\$|\$|"
        + f"{EURO}|{POUND}|{YEN}"
        + r"|\beur|\busd|\bgbp|\bchf) ?(?P<n><NUM>)(?: ?(?P<scale><SCALE>)\b)?",
    ),
    Rule(amounts.money, r"\b(?P<cents>\d{1,2}) ?(?P<cur><COIN>)\b"),
    Rule(amounts.percent, r"\b(?P<n><NUM>) ?(?:%|per ?cent\b|pct\b)"),
    Rule(amounts.ordinal, r"\b(?P<n>\d{1,4})(?:<TH>)\b"),
    Rule(amounts.plain_number, r"(?:(?P<minus>-)|\b)(?P<n><NUM>)(?: (?P<scale>millions?|billion|thousand))?\b"),
)

RULES = tuple(Rule(rule.read, filled(rule.pattern, _FRAGMENTS)) for rule in _RULES)
