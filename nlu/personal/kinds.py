"""The kinds of personal data that are looked for, and which kinds only flag a topic."""

from __future__ import annotations

from typing import Final

IDENTIFIERS: Final = (
    "email",
    "phone",
    "iban",
    "bic",
    "payment_card",
    "nir",
    "national_number",
    "siren",
    "siret",
    "vat",
    "tax_number",
    "passport",
    "identity_card",
    "driving_licence",
    "plate",
    "postcode",
    "ip",
    "mac",
    "date_of_birth",
    "url",
)
"""What is recognised by its form. `nir` is the French social security number; `national_number` is its like elsewhere (SSN, SIN, NINO,
AHV, Belgian national number); `url` is an address of the web that names a user."""

LEARNT: Final = ("person", "address")
"""What is recognised by a learnt tagger from its words and their neighbours."""

SPECIAL: Final = ("health", "religion", "politics", "union", "sexuality", "ethnicity", "biometrics")
"""Special categories of GDPR Art. 9(1)."""

FLAGS: Final = (*SPECIAL, "offence")
"""Kinds that say what a message is about, not who somebody is; `offence` is GDPR Art. 10."""

KINDS: Final = (*IDENTIFIERS, *LEARNT, *FLAGS)
