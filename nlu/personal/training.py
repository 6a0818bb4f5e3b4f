"""Trains the tagger that comes with the program: `python -m nlu.personal.training` writes nlu/personal/data/model.{json,npz} again.

Only synthetic sentences go in (nlu/personal/synthesis.py). The same word lists and templates give the same bytes on the same platform
with the same versions of numpy and scipy.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from nlu.example import Example
from nlu.personal.detector import PersonalData
from nlu.personal.features import features
from nlu.personal.field import train
from nlu.personal.fold import fold
from nlu.personal.labelling import cut, label
from nlu.personal.synthesis import KINDS, LANGUAGES, examples
from nlu.personal.tagger import Tagger

ROUNDS: Final = 20
"""How often each template is filled."""
SEED: Final = 1
PENALTY: Final = 0.3
STEPS: Final = 60
LEAST: Final = 2
KEEP: Final = 0.01
"""For `field.train`; chosen by cross-validation over Presidio's templates."""
DATA: Final = Path(__file__).parent / "data"


def synthetic(rounds: int = ROUNDS) -> list[tuple[Example, str]]:
    return [(example, language) for language in LANGUAGES for example in examples(language, rounds=rounds, seed=SEED)]


def learn(marked: Iterable[tuple[Example, str]], *, penalty: float = PENALTY, steps: int = STEPS) -> Tagger:
    """A tagger learnt from examples, each with its language."""
    prepared = []
    for example, language in marked:
        folded = fold(example.text)
        _, tokens = cut(folded, language)
        prepared.append((features(tokens.words), label(tokens, folded, example.entities)))
    return train(KINDS, prepared, penalty=penalty, steps=steps, least=LEAST, keep=KEEP)


def packed(model: PersonalData) -> tuple[bytes, bytes]:
    """The JSON and the arrays (a compressed .npz without times) of a model."""
    meta, arrays = model.parts()
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            array = io.BytesIO()
            np.lib.format.write_array(array, arrays[name], allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return json.dumps(meta, sort_keys=True).encode() + b"\n", stored.getvalue()


def main() -> None:
    meta, arrays = packed(PersonalData(learn(synthetic())))
    (DATA / "model.json").write_bytes(meta)
    (DATA / "model.npz").write_bytes(arrays)
    sys.stdout.write(f"model.npz: {len(arrays)} bytes\n")


if __name__ == "__main__":
    main()
