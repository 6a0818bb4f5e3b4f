"""Words that announce an identifier, French and English, by what they announce."""

from __future__ import annotations

import re
from typing import Final


def words(text: str) -> re.Pattern[str]:
    """A pattern of context words: alternatives, starting at a word's start, case ignored."""
    return re.compile(rf"(?<!\w)(?:{text})", re.IGNORECASE)


ACCOUNT: Final = words(r"bic\b|swift|iban|rib\b|code (?:de la )?banque|bank code")
CARD: Final = words(
    r"cartes?\b|cb\b|cards?\b|cc\b|visa|master ?card|amex|credit|cr[eé]dit\b(?! agricole| mutuel| lyonnais)|bleue|paiement|payment|"
    r"debit|d[eé]bit"
)
NIR: Final = words(
    r"nir\b|s[eé]cu\b|s[eé]curit[eé] sociale|s[eé]cu(?:rit[eé])? soc|n[°o]? ?ss\b|carte vitale|vitale|assur[eé]e?s?\b|immatricul[eé]e?s?\b|"
    r"social security"
)
NATIONAL: Final = words(
    r"ssn\b|social security|social insurance|sin\b|national insurance|nino\b|ni number|registre national|num[eé]ro national|"
    r"national (?:register|number|registration)|n[°o] national|avs\b|ahv\b|niss\b|matricule|num[eé]ro d'assurance sociale|nas\b"
)
COMPANY: Final = words(
    r"sire[nt]\b|rcs\b|entreprise|soci[eé]t[eé]\b|company|immatricul[eé]e|[eé]tablissement|registration"
)
VAT: Final = words(r"tva\b|t\.v\.a|vat\b|intracom|mwst|btw\b|ust-?id")
TAX: Final = words(r"fiscale?s?\b|spi\b|imp[oô]ts?\b|imposition|tax\b|contribuable|tin\b|utr\b|taxpayer")
PASSPORT: Final = words(r"passeports?\b|passports?\b")
IDENTITY: Final = words(
    r"cni\b|cartes? (?:nationales? )?d'?identit[eé]|pi[eè]ces? d'?identit[eé]|titres? de s[eé]jour|identity cards?|id cards?|national id|"
    r"eid\b|id number"
)
LICENCE: Final = words(r"permis(?: de conduire)?\b|driv(?:er'?s?|ing) licen[cs]e|licen[cs]e (?:number|no|n°)|dl\b")
PLATE: Final = words(
    r"immatricul|plaques?\b|v[eé]hicules?\b|voitures?\b|auto\b|moto\b|scooter|camion|fourri[eè]re|carte grise|stationn|gar[eé]e?\b|"
    r"cession|vehicles?\b|cars?\b|van\b|number plate|licen[cs]e plate|plate\b|registration|reg\b|parked|tow"
)
POSTCODE: Final = words(r"code ?postal|c\.?p\.?\b|zip\b|zip ?code|post ?code|postal code|npa\b")
BORN: Final = words(
    r"(?:n[eé]e?s?(?:\(e\))?(?:e?s?)? (?:le|un|vers|en|à)\b|n[eé]\(e\)|n[eé]e?\b|naissance|ddn\b|date de naiss|born\b|birth|birthday|"
    r"birthdate|dob\b|d\.o\.b|anniversaire)\D*\Z"
)
"""With no other number between it and the date."""
MACHINE: Final = words(
    r"ip\b|ipv[46]|adresses?\b|address(?:es)?\b|routeur|router|server|serveur|host|connexion|connection|login|blocked|bloqu"
)
