"""The keys of every person: made, wrapped, granted per purpose, and destroyed. The one place where DEKs live."""

from vault.keys.kek import PURPOSES, KekDirectory
from vault.keys.model import (
    IMPROVEMENT,
    NEW_CLAIM,
    Change,
    Claim,
    ClaimState,
    EraseApplied,
    Erasure,
    Fence,
    Give,
    Lift,
    Month,
    Pending,
    Person,
    Restrict,
    Rotation,
    Unreadable,
    Withdraw,
    month_of,
)
from vault.keys.store import KeyStore

__all__ = [
    "IMPROVEMENT",
    "NEW_CLAIM",
    "PURPOSES",
    "Change",
    "Claim",
    "ClaimState",
    "EraseApplied",
    "Erasure",
    "Fence",
    "Give",
    "KekDirectory",
    "KeyStore",
    "Lift",
    "Month",
    "Pending",
    "Person",
    "Restrict",
    "Rotation",
    "Unreadable",
    "Withdraw",
    "month_of",
]
