"""The wrapped rows of a key store are frozen: what was written under these bytes must stay readable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from Crypto.Cipher import AES

from vault.errors import KeyTampered
from vault.keys.kek import PURPOSES, KekDirectory
from vault.keys.wrap import grant_place, identity_place, mention_place, note_place, tie_place, unwrap, unwrap_dek, wrap
from vault.seal import commitment

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "wrap.1.json").read_text("utf-8"))["rows"]
VAULT_ID = UUID(int=1)


@pytest.fixture
def keks(tmp_path: Path) -> KekDirectory:
    """A folder that holds the KEKs of all vectors."""
    KekDirectory.create(tmp_path / "keks", VAULT_ID)
    for vector in VECTORS:
        file = tmp_path / "keks" / f"{vector['purpose']}.{vector['epoch']}.kek"
        file.touch(mode=0o600)
        file.write_text(vector["kek"] + "\n")
    return KekDirectory.open(tmp_path / "keks", VAULT_ID, PURPOSES)


def place_of(vector: dict[str, Any]) -> bytes:
    row = vector["row"]
    match vector["what"]:
        case "grant":
            return grant_place(bytes.fromhex(row["key_id"]), bytes.fromhex(row["owner"]), vector["purpose"])
        case "identity":
            return identity_place(bytes.fromhex(row["entry"]), bytes.fromhex(row["keyed_subject"]))
        case "tie":
            return tie_place(bytes.fromhex(row["keyed_subject"]), bytes.fromhex(row["keyed_case"]))
        case "mention":
            return mention_place(*(bytes.fromhex(row[name]) for name in ("entry", "keyed_message", "keyed_subject")))
        case "note":
            return note_place(row["number"], row["kind"])
    raise AssertionError(vector["what"])


def by_the_layout(vector: dict[str, Any]) -> bytes:
    """The wrapped bytes as the module's docstring describes them, with another AES-GCM."""
    cipher = AES.new(bytes.fromhex(vector["kek"]), AES.MODE_GCM, nonce=bytes.fromhex(vector["nonce"]))
    cipher.update(bytes.fromhex(vector["place"]) + vector["epoch"].to_bytes(4, "big"))
    return bytes.fromhex(vector["nonce"]) + b"".join(cipher.encrypt_and_digest(bytes.fromhex(vector["plain"])))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["why"])
def test_a_wrapped_row_is_frozen(vector: dict[str, Any], keks: KekDirectory) -> None:
    purpose, epoch, plain = vector["purpose"], vector["epoch"], bytes.fromhex(vector["plain"])
    wrapped, place = bytes.fromhex(vector["wrapped"]), place_of(vector)
    assert place.hex() == vector["place"]
    assert by_the_layout(vector) == wrapped
    assert wrap(keks, purpose, epoch, place, plain, lambda size: bytes.fromhex(vector["nonce"])[:size]) == wrapped
    assert unwrap(keks, purpose, epoch, place, wrapped) == plain


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["why"])
def test_a_row_opens_in_no_other_vectors_place(vector: dict[str, Any], keks: KekDirectory) -> None:
    for other in VECTORS:
        if other is not vector:
            with pytest.raises(KeyTampered):
                unwrap(keks, other["purpose"], other["epoch"], place_of(other), bytes.fromhex(vector["wrapped"]))


def test_the_frozen_grant_holds_the_dek_that_its_key_id_commits_to(keks: KekDirectory) -> None:
    grants = [vector for vector in VECTORS if vector["what"] == "grant"]
    assert grants
    for vector in grants:
        key_id, owner = bytes.fromhex(vector["row"]["key_id"]), bytes.fromhex(vector["row"]["owner"])
        material = unwrap_dek(keks, key_id, owner, vector["purpose"], vector["epoch"], bytes.fromhex(vector["wrapped"]))
        assert commitment(material) == key_id
