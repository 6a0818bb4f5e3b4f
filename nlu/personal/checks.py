"""Check digits and internal structure of numbers, offline. Each takes what was written with separators removed, in capitals.

From python-stdnum where it knows the number; never its online services (`check_vies`, …).
"""

from __future__ import annotations

import ipaddress
from typing import Final

from stdnum import luhn
from stdnum.be import nn as belgian_number
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.ch import uid
from stdnum.eu import vat as eu_vat
from stdnum.fr import nif
from stdnum.fr import nir as french_nir
from stdnum.fr import siren as french_siren
from stdnum.fr import siret as french_siret
from stdnum.gb import vat as british_vat
from stdnum.iso7064 import mod_97_10
from stdnum.us import ssn as american_ssn

IBAN_LENGTHS: Final = {
    **{
        "AD": 24,
        "AE": 23,
        "AL": 28,
        "AT": 20,
        "AZ": 28,
        "BA": 20,
        "BE": 16,
        "BG": 22,
        "BH": 22,
        "BR": 29,
        "BY": 28,
        "CH": 21,
    },
    **{
        "CR": 22,
        "CY": 28,
        "CZ": 24,
        "DE": 22,
        "DK": 18,
        "DO": 28,
        "EE": 20,
        "EG": 29,
        "ES": 24,
        "FI": 18,
        "FO": 18,
        "FR": 27,
    },
    **{
        "GB": 22,
        "GE": 22,
        "GI": 23,
        "GL": 18,
        "GR": 27,
        "GT": 28,
        "HR": 21,
        "HU": 28,
        "IE": 22,
        "IL": 23,
        "IQ": 23,
        "IS": 26,
    },
    **{
        "IT": 27,
        "JO": 30,
        "KW": 30,
        "KZ": 20,
        "LB": 28,
        "LC": 32,
        "LI": 21,
        "LT": 20,
        "LU": 20,
        "LV": 21,
        "LY": 25,
        "MC": 27,
    },
    **{
        "MD": 24,
        "ME": 22,
        "MK": 19,
        "MR": 27,
        "MT": 31,
        "MU": 30,
        "NL": 18,
        "NO": 15,
        "PK": 24,
        "PL": 28,
        "PS": 29,
        "PT": 25,
    },
    **{
        "QA": 29,
        "RO": 24,
        "RS": 22,
        "SA": 24,
        "SC": 31,
        "SE": 24,
        "SI": 19,
        "SK": 24,
        "SM": 27,
        "SV": 28,
        "TN": 24,
        "TR": 26,
    },
    **{"UA": 29, "VA": 22, "VG": 24, "XK": 20},
}
"""Characters of an IBAN by country (SWIFT IBAN registry)."""


def iban(number: str) -> bool:
    """ISO 13616: known country, its length, and the remainder 1 by 97."""
    return IBAN_LENGTHS.get(number[:2]) == len(number) and bool(mod_97_10.is_valid(number[4:] + number[:4]))


def payment_card(number: str) -> bool:
    return bool(luhn.is_valid(number))


def nir(number: str) -> bool:
    return len(number) == 15 and bool(french_nir.is_valid(number))


def national_number(number: str) -> bool:
    """Belgian, Swiss, Canadian or United States number with correct structure and check digits where there are any."""
    return any(kind.is_valid(number) for kind in (belgian_number, ahv, sin, american_ssn))


def siren(number: str) -> bool:
    return bool(french_siren.is_valid(number))


def siret(number: str) -> bool:
    return bool(french_siret.is_valid(number))


def vat(number: str) -> bool:
    """Value added tax number of the European Union, Great Britain or Switzerland."""
    if number.startswith("GB"):
        return bool(british_vat.is_valid(number))
    if number.startswith("CHE"):
        return bool(uid.is_valid(number[:12]))
    return bool(eu_vat.is_valid(number))


def tax_number(number: str) -> bool:
    """French numéro fiscal (SPI): 13 digits, the last three the remainder of the others by 511."""
    return len(number) == 13 and bool(nif.is_valid(number))


def address_of_a_machine(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
