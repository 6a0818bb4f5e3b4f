"""The sealed form of an event: that it opens where it belongs, and nowhere else and in no other way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from Crypto.Cipher import AES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from eventsourcing.persistence import StoredEvent
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import EventTampered
from vault.seal import CLEAR, NONCE_SIZE, TAG_SIZE, Dek, commitment, open_payload, person_of, read_header, seal, stored

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "seal.1.json").read_text("utf-8"))

DEK = Dek(bytes(range(32)))
PLACE: dict[str, Any] = {
    "originator_id": UUID(int=11),
    "version": 2,
    "event_topic": "interaction.understood.1",
    "person": UUID(int=22),
    "at_us": 1_750_000_000_000_000,
    "channel": "web",
}
PAYLOAD = b"forty-two bytes of what somebody once said"


def sealed(payload: bytes = PAYLOAD, dek: Dek | None = DEK, **other: Any) -> StoredEvent:
    return stored(seal(**{**PLACE, **other}, dek=dek, payload=payload))


def opened(event: StoredEvent, dek: Dek = DEK) -> bytes:
    return open_payload(event, read_header(event.state), dek)


@given(
    payload=st.binary(max_size=300),
    originator_id=st.uuids(),
    version=st.integers(0, 2**32 - 1),
    event_topic=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
    person=st.uuids(),
    at_us=st.integers(-(2**63), 2**63 - 1),
    channel=st.text(st.characters(codec="utf-8"), max_size=63),
)
def test_what_was_sealed_opens_and_its_header_is_read_without_a_key(payload: bytes, **place: Any) -> None:
    event = sealed(payload, **place)
    header = read_header(event.state)
    assert (header.person, header.at_us, header.channel) == (place["person"], place["at_us"], place["channel"])
    assert header.key_id == DEK.key_id
    assert person_of(event.state) == place["person"].bytes
    assert open_payload(event, header, DEK) == payload
    assert len(event.state) == header.size + NONCE_SIZE + len(payload) + TAG_SIZE


def test_a_clear_event_is_a_header_and_nothing_more() -> None:
    event = sealed(b"", None)
    header = read_header(event.state)
    assert header.key_id == CLEAR
    assert header.size == len(event.state)
    with pytest.raises(ValueError, match="never written in the clear"):
        sealed(b"x", None)
    with pytest.raises(EventTampered, match="names no key and yet carries a payload"):
        read_header(event.state + b"x")


def test_the_same_payload_sealed_twice_looks_different() -> None:
    states = {sealed().state for _ in range(100)}
    header_size = read_header(sealed().state).size
    assert len({state[header_size : header_size + NONCE_SIZE] for state in states}) == 100
    assert len({state[header_size + NONCE_SIZE :] for state in states}) == 100


def test_neither_payload_nor_key_shows() -> None:
    assert PAYLOAD not in sealed().state
    assert bytes(range(32)).hex()[:16] not in repr(DEK)
    for damaged in (replace(sealed(), originator_version=3), replace(sealed(), state=sealed().state[:-1])):
        with pytest.raises(EventTampered) as caught:
            opened(damaged)
        assert "somebody" not in str(caught.value)


def test_a_channel_name_that_does_not_fit_is_refused() -> None:
    assert read_header(sealed(channel="é" * 127 + "x").state).channel == "é" * 127 + "x"
    with pytest.raises(ValueError, match="longer than 255"):
        sealed(channel="é" * 128)


# The damage


@pytest.mark.parametrize(
    "other",
    [
        {"originator_id": UUID(int=12)},
        {"version": 3},
        {"event_topic": "interaction.understood.2"},
        {"person": UUID(int=23)},
        {"at_us": PLACE["at_us"] + 1},
        {"channel": "weu"},
        {"channel": "webs"},
        {"channel": ""},
    ],
    ids=str,
)
def test_an_event_opens_only_where_it_was_sealed_for(other: dict[str, Any]) -> None:
    event, elsewhere = sealed(), sealed(**other)
    size, size_elsewhere = read_header(event.state).size, read_header(elsewhere.state).size
    moved = replace(elsewhere, state=elsewhere.state[:size_elsewhere] + event.state[size:])
    with pytest.raises(EventTampered):
        opened(moved)


def test_the_topic_and_the_header_do_not_run_into_each_other() -> None:
    event = sealed(event_topic="ab")
    with pytest.raises(EventTampered):
        opened(replace(event, topic="a"))
    with pytest.raises(EventTampered):
        opened(replace(event, topic="ab\0\1"))


@pytest.mark.parametrize("extra", [b"\0", b"\1", bytes(16), bytes(1_000)], ids=len)
def test_an_extended_event_does_not_open(extra: bytes) -> None:
    with pytest.raises(EventTampered):
        opened(replace(sealed(), state=sealed().state + extra))


def test_an_event_cut_at_any_length_does_not_open() -> None:
    event = sealed()
    for length in range(len(event.state)):
        with pytest.raises(EventTampered):
            opened(replace(event, state=event.state[:length]))


def test_an_event_with_any_bit_flipped_does_not_open() -> None:
    event = sealed()
    for at in range(len(event.state)):
        for bit in range(8):
            damaged = bytearray(event.state)
            damaged[at] ^= 1 << bit
            with pytest.raises(EventTampered):
                opened(replace(event, state=bytes(damaged)))


def test_swapped_payloads_do_not_open() -> None:
    one, two = sealed(version=2), sealed(version=3)
    for event, other in ((one, two), (two, one)):
        with pytest.raises(EventTampered):
            opened(replace(event, state=other.state))


def test_another_dek_does_not_open_it() -> None:
    with pytest.raises(EventTampered):
        opened(sealed(), Dek(bytes(32)))


def test_another_layout_is_refused_with_the_remedy() -> None:
    with pytest.raises(EventTampered, match="use the program version that wrote it"):
        read_header(b"\2" + sealed().state[1:])


# Key commitment: AES-GCM lets one build a ciphertext that opens under two keys (Dodis et al. 2018). GF(2^128) as in SP 800-38D, 6.3.


def times(x: int, y: int) -> int:
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return product


def inverse(x: int) -> int:
    result, power = 1 << 127, x  # 1 << 127 is the field's one
    for _ in range(127):
        power = times(power, power)
        result = times(result, power)
    return result


def encrypted_block(material: bytes, block: bytes) -> int:
    encryptor = Cipher(algorithms.AES(material), modes.ECB()).encryptor()
    return int.from_bytes(encryptor.update(block) + encryptor.finalize(), "big")


def ghash(h: int, bound: bytes, ciphertext: bytes) -> int:
    lengths = (8 * len(bound)).to_bytes(8, "big") + (8 * len(ciphertext)).to_bytes(8, "big")
    data = b"".join(part + bytes(-len(part) % 16) for part in (bound, ciphertext)) + lengths
    result = 0
    for at in range(0, len(data), 16):
        result = times(result ^ int.from_bytes(data[at : at + 16], "big"), h)
    return result


def opens_under_both(first: bytes, second: bytes, nonce: bytes, bound: bytes) -> bytes:
    """One block and a tag that AES-GCM accepts under both keys: the block solves tag(first) = tag(second), linear in it."""
    hs = [encrypted_block(material, bytes(16)) for material in (first, second)]
    masks = [encrypted_block(material, nonce + b"\0\0\0\1") for material in (first, second)]
    rest = masks[0] ^ masks[1] ^ ghash(hs[0], bound, bytes(16)) ^ ghash(hs[1], bound, bytes(16))
    block = times(rest, inverse(times(hs[0], hs[0]) ^ times(hs[1], hs[1]))).to_bytes(16, "big")
    return block + (ghash(hs[0], bound, block) ^ masks[0]).to_bytes(16, "big")


def test_a_ciphertext_forged_to_open_under_two_deks_opens_under_the_one_it_names_only() -> None:
    materials = bytes(range(32)), bytes(range(100, 132))
    named, other = Dek(materials[0]), Dek(materials[1])
    event = sealed(bytes(16), named)
    header, nonce = read_header(event.state), bytes(NONCE_SIZE)
    bound = (
        event.originator_id.bytes + (2).to_bytes(4, "big") + event.topic.encode() + b"\0" + event.state[: header.size]
    )  # type: ignore[union-attr]
    ciphertext = opens_under_both(*materials, nonce, bound)
    forged = replace(event, state=event.state[: header.size] + nonce + ciphertext)

    meanings = {dek.aead.decrypt(nonce, ciphertext, bound) for dek in (named, other)}
    assert len(meanings) == 2, "the forgery works on AES-GCM alone: two keys, two meanings"

    assert opened(forged, named) in meanings
    with pytest.raises(EventTampered):
        opened(forged, other)


def test_the_key_id_is_a_hash_of_the_dek() -> None:
    assert commitment(bytes(range(32))).hex() == VECTORS["commitment"]["key_id"]
    assert commitment(bytes(32)) != commitment(bytes(31) + b"\1")


# Frozen


def by_the_layout(vector: dict[str, Any]) -> bytes:
    """The state as the module's docstring describes it, put together by hand and with another AES-GCM."""
    channel, place = (
        vector["channel"].encode(),
        UUID(vector["originator_id"]).bytes + vector["version"].to_bytes(4, "big"),
    )
    header = b"\1" + UUID(vector["person"]).bytes + vector["at_us"].to_bytes(8, "big", signed=True)
    header += bytes([len(channel)]) + channel + bytes.fromhex(vector["key_id"])
    if vector["dek"] is None:
        return header
    nonce = bytes.fromhex(vector["nonce"])
    cipher = AES.new(bytes.fromhex(vector["dek"]), AES.MODE_GCM, nonce=nonce)
    cipher.update(place + vector["event_topic"].encode() + b"\0" + header)
    return header + nonce + b"".join(cipher.encrypt_and_digest(bytes.fromhex(vector["payload"])))


@pytest.mark.parametrize("vector", VECTORS["events"], ids=lambda vector: vector["why"])
def test_the_layout_is_frozen(vector: dict[str, Any]) -> None:
    state = bytes.fromhex(vector["state"])
    assert by_the_layout(vector) == state
    dek = None if vector["dek"] is None else Dek(bytes.fromhex(vector["dek"]))
    place = {name: vector[name] for name in ("version", "event_topic", "at_us", "channel")}
    place |= {name: UUID(vector[name]) for name in ("originator_id", "person")}
    payload = bytes.fromhex(vector["payload"])
    event = stored(seal(**place, dek=dek, payload=payload, random=lambda size: bytes.fromhex(vector["nonce"])[:size]))
    assert event.state == state
    header = read_header(state)
    assert (header.person, header.at_us, header.channel) == (place["person"], place["at_us"], place["channel"])
    assert header.key_id.hex() == vector["key_id"]
    if dek is not None:
        assert open_payload(event, header, dek) == payload
