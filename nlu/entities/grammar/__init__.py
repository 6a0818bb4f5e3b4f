"""Dates, times, durations, money and numbers in French and English, read against the message's own time and zone.

A message is folded and rewritten (`canonical`), the rules of its language find what stands in it (`french`, `english`; what they mean is in
`calendar`, `clock` and `amounts`), neighbours are put together (`compose`), and every value is given out as JSON (`values`).
All rules are matched at once by RE2, in time linear in the text; each match looks at a bounded stretch around it.
"""

from __future__ import annotations

from nlu.entities.grammar.grammar import LANGUAGES, Expression, expressions

__all__ = ["LANGUAGES", "Expression", "expressions"]
