"""Personal data in text, French and English: found, flagged and masked before anything is learnt from a message.

`PersonalData.find` gives spans; `mask` hides them; `normal_form` gives what an e-mail address or telephone number is indexed by.
Nothing here looks anything up outside the process.
"""

from __future__ import annotations

from nlu.personal.detector import PersonalData
from nlu.personal.kinds import FLAGS, IDENTIFIERS, KINDS, LEARNT, SPECIAL
from nlu.personal.masking import INDEXED, mask, normal_form

__all__ = ["FLAGS", "IDENTIFIERS", "INDEXED", "KINDS", "LEARNT", "SPECIAL", "PersonalData", "mask", "normal_form"]
