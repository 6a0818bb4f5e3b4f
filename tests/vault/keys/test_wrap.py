from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.vault.keys.homes import VAULT
from vault.errors import KeyTampered, KeyWithheld
from vault.keys.kek import PURPOSES, KekDirectory
from vault.keys.wrap import (
    Rewrapping,
    grant_place,
    identity_place,
    note_place,
    tie_place,
    unwrap,
    unwrap_dek,
    wrap,
)
from vault.seal import commitment

OWNER, OTHER = b"o" * 16, b"p" * 16
MATERIAL = bytes(range(32))
KEY_ID = commitment(MATERIAL)
FROZEN = bytes.fromhex(
    "22222222222222222222222217f6054ac4ca9958ed36d43744abe7da0f82dff17e94ba5c4a5610f315fc7b1c8c7a7cce3e214609046bbd340e89af87"
)
"""MATERIAL under KEK 0x11 32 times for OWNER, purpose service, epoch 1, nonce 0x22 12 times."""


@pytest.fixture
def keks(tmp_path: Path) -> KekDirectory:
    made = KekDirectory.create(tmp_path / "keks", VAULT)
    made.make_epoch(2)
    return made


def test_frozen_grant_opens_so_key_stores_stay_readable(tmp_path: Path) -> None:
    KekDirectory.create(tmp_path / "keks", VAULT)
    (tmp_path / "keks" / "service.1.kek").write_bytes(b"11" * 32 + b"\n")
    keks = KekDirectory.open(tmp_path / "keks", VAULT, PURPOSES)
    assert unwrap_dek(keks, KEY_ID, OWNER, "service", 1, FROZEN) == MATERIAL


def test_places_are_frozen() -> None:
    assert grant_place(b"k", b"o", "service") == b"parloir grant 1koservice"
    assert identity_place(b"e", b"s") == b"parloir identity 1es"
    assert tie_place(b"s", b"c") == b"parloir tie 1sc"
    assert note_place(258, "erase") == b"parloir note 1\0\0\0\0\0\0\1\2erase"


def test_the_same_dek_wrapped_twice_looks_different(keks: KekDirectory) -> None:
    place = grant_place(KEY_ID, OWNER, "service")
    assert wrap(keks, "service", 1, place, MATERIAL) != wrap(keks, "service", 1, place, MATERIAL)


def test_grant_opens_in_its_own_row_only(keks: KekDirectory) -> None:
    wrapped = wrap(keks, "service", 1, grant_place(KEY_ID, OWNER, "service"), MATERIAL)
    assert unwrap_dek(keks, KEY_ID, OWNER, "service", 1, wrapped) == MATERIAL
    for key_id, owner, purpose, epoch in (
        (commitment(bytes(32)), OWNER, "service", 1),
        (KEY_ID, OTHER, "service", 1),
        (KEY_ID, OWNER, "rights", 1),
        (KEY_ID, OWNER, "service", 2),
    ):
        with pytest.raises(KeyTampered, match="does not open"):
            unwrap_dek(keks, key_id, owner, purpose, epoch, wrapped)


def test_any_flipped_bit_and_any_cut_is_tampering(keks: KekDirectory) -> None:
    place = grant_place(KEY_ID, OWNER, "service")
    wrapped = wrap(keks, "service", 1, place, MATERIAL)
    for at in range(len(wrapped)):
        with pytest.raises(KeyTampered):
            unwrap(keks, "service", 1, place, wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :])
        with pytest.raises(KeyTampered):
            unwrap(keks, "service", 1, place, wrapped[:at])
    with pytest.raises(KeyTampered):
        unwrap(keks, "service", 1, place, wrapped + b"\0")


def test_another_dek_that_opens_under_the_kek_is_still_not_the_one_that_the_id_commits_to(keks: KekDirectory) -> None:
    forged = wrap(keks, "service", 1, grant_place(KEY_ID, OWNER, "service"), os.urandom(32))
    with pytest.raises(KeyTampered, match="is another key"):
        unwrap_dek(keks, KEY_ID, OWNER, "service", 1, forged)
    with pytest.raises(KeyTampered):
        Rewrapping(keks, 2)("service", 1, grant_place(KEY_ID, OWNER, "service"), forged, KEY_ID)


def test_rewrapped_opens_under_the_new_epoch_in_the_same_row_only(keks: KekDirectory) -> None:
    place = grant_place(KEY_ID, OWNER, "service")
    again = Rewrapping(keks, 2)("service", 1, place, wrap(keks, "service", 1, place, MATERIAL), KEY_ID)
    assert unwrap_dek(keks, KEY_ID, OWNER, "service", 2, again) == MATERIAL
    with pytest.raises(KeyTampered):
        unwrap_dek(keks, KEY_ID, OWNER, "service", 1, again)


def test_messages_hold_no_key_material(keks: KekDirectory) -> None:
    wrapped = wrap(keks, "service", 1, grant_place(KEY_ID, OWNER, "service"), MATERIAL)
    with pytest.raises(KeyTampered) as tampered:
        unwrap_dek(keks, KEY_ID, OTHER, "service", 1, wrapped)
    assert wrapped.hex() not in str(tampered.value)
    assert MATERIAL.hex() not in str(tampered.value)


def test_wrapping_for_a_purpose_that_is_not_held_is_withheld(tmp_path: Path) -> None:
    KekDirectory.create(tmp_path / "keks", VAULT)
    keks = KekDirectory.open(tmp_path / "keks", VAULT, ["service"])
    with pytest.raises(KeyWithheld):
        wrap(keks, "rights", 1, grant_place(KEY_ID, OWNER, "rights"), MATERIAL)
