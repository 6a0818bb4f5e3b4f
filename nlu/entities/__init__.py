"""Entities: what in a message names a thing, a day, an amount; learnt, looked up, matched, or read by the grammar."""

from __future__ import annotations

from nlu.entities.entities import Entities
from nlu.entities.lookups import Lookup
from nlu.entities.patterns import Pattern

__all__ = ["Entities", "Lookup", "Pattern"]
