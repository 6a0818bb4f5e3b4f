"""Webhooks: what is signed, what a receiver accepts, and how a key is changed."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bot.outgoing import Client, Field, Operation, Outcome, SecretFile, key_of, signed, verified
from bot.outgoing.signature import WINDOW_S
from tests.bot.outgoing_servers import Server, answers, fails_first, says
from vault.errors import BadInput, StartRefused

OLD, NEW, OTHER = b"o" * 24, b"n" * 32, b"x" * 64
NOW = 1_700_000_000
BODY = '{"text":"Où ?"}'.encode()


def test_a_signature_is_that_of_the_standard_webhooks_libraries() -> None:
    """Made by the package standardwebhooks 1.1.0, which also verified ours."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert signed("3f2a:1", NOW, BODY, [key]) == {
        "webhook-id": "3f2a:1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1,q6FWDnfCVAzAxmALcm8MxddnAfywYCzxgdPn4EVKnho=",
    }


@pytest.mark.parametrize(
    ("signs", "accepts", "fits"),
    [
        ([OLD], [OLD], True),
        ([OLD], [NEW, OLD], True),  # receivers take both first
        ([NEW, OLD], [OLD], True),  # then both sign
        ([NEW, OLD], [NEW, OLD], True),
        ([NEW, OLD], [NEW], True),  # then the old one goes
        ([NEW], [NEW], True),
        ([OLD], [NEW], False),
        ([NEW, OLD], [OTHER], False),
        ([OLD], [], False),
        ([], [OLD], False),
    ],
)
def test_a_key_is_changed_without_losing_a_webhook(signs: list[bytes], accepts: list[bytes], fits: bool) -> None:
    headers = signed("id", NOW, BODY, signs)
    assert verified(headers, BODY, accepts, NOW) == ("id" if fits else None)


@pytest.mark.parametrize(
    ("late_s", "fits"), [(0, True), (WINDOW_S, True), (-WINDOW_S, True), (301, False), (-301, False)]
)
def test_a_webhook_is_accepted_for_five_minutes_either_way(late_s: int, fits: bool) -> None:
    assert WINDOW_S == 300
    assert (verified(signed("id", NOW, BODY, [OLD]), BODY, [OLD], NOW + late_s) is not None) is fits


def test_id_time_and_body_are_each_signed() -> None:
    headers = signed("id", NOW, BODY, [OLD])
    assert verified({name.title(): value for name, value in headers.items()}, BODY, [OLD], NOW) == "id"
    assert verified(headers, BODY + b" ", [OLD], NOW) is None
    assert verified(headers, b"", [OLD], NOW) is None
    assert verified({**headers, "webhook-id": "other"}, BODY, [OLD], NOW) is None
    assert verified({**headers, "webhook-timestamp": str(NOW + 1)}, BODY, [OLD], NOW) is None
    for name in headers:
        assert verified({other: headers[other] for other in headers if other != name}, BODY, [OLD], NOW) is None


def test_what_is_signed_cannot_be_divided_in_another_way() -> None:
    """id "a.1" with time 2 would be signed as id "a" with time 1 and a body that begins with "2."."""
    with pytest.raises(BadInput, match="full stop"):
        signed("a.1", NOW, BODY, [OLD])
    headers = signed("a", NOW, b"5." + BODY, [OLD])
    assert verified({**headers, "webhook-id": f"a.{NOW}", "webhook-timestamp": "5"}, BODY, [OLD], 5) is None


@pytest.mark.parametrize(
    "signature",
    ["", " ", "v1", "v1,", ",", "v1,AAAA", "v2,{good}", "v1a,{good}", "{good}", "v1,{good}=", "v1,{good}\n", "é", "\x00",
     "v1,\ud800", "v1,x " * 500],
)  # fmt: skip
def test_a_signature_in_another_form_is_not_one(signature: str) -> None:
    headers = signed("id", NOW, BODY, [OLD])
    good = headers["webhook-signature"].removeprefix("v1,")
    assert verified({**headers, "webhook-signature": signature.replace("{good}", good)}, BODY, [OLD], NOW) is None


@pytest.mark.parametrize("at", ["", "-1", "1e9", "1_700_000_000", "\u0661", "NaN", "9" * 400, f" {NOW}"])
def test_a_time_in_another_form_is_not_one(at: str) -> None:
    headers = {**signed("id", NOW, BODY, [OLD]), "webhook-timestamp": at}
    assert verified(headers, BODY, [OLD], NOW) is None


@pytest.mark.parametrize("webhook_id", ["", "a b", "é", "a\r\nX: y", "\x00", "x" * 257])
def test_an_id_is_short_visible_ascii(webhook_id: str) -> None:
    with pytest.raises(BadInput):
        signed(webhook_id, NOW, BODY, [OLD])


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_AAAA", "whsec_" + "A" * 400, "whsec_%%%%", "é" * 40])
def test_a_key_that_is_short_or_no_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(BadInput, match="24 to 64 bytes") as caught:
        key_of(text)
    assert text == "" or text.removeprefix("whsec_") == "" or text not in str(caught.value)


def key_file(folder: Path, name: str, key: bytes) -> SecretFile:
    path = folder / name
    path.write_text(f"whsec_{base64.b64encode(key).decode()}\n")
    path.chmod(0o600)
    return SecretFile(path)


def test_a_webhook_that_is_sent_again_has_the_same_id_and_a_time_of_its_own(tmp_path: Path) -> None:
    times = iter([NOW, NOW + 400])
    notify = Operation(
        "notify",
        "town",
        "POST",
        "/hook",
        fields=(Field("text", "$.text", "service", "Town"),),
        retries=1,
        idempotency_header="Idempotency-Key",
        signed_by=(key_file(tmp_path, "new", NEW), key_file(tmp_path, "old", OLD)),
    )
    with (
        Server(fails_first(1, says(b""), answers())) as server,
        Client([server.origin()], [notify], wall=lambda: next(times), chance=lambda: 0.0) as client,
    ):
        assert client.call("notify", {"text": "Où ?"}, key="3f2a:1").outcome is Outcome.OK
        assert client.call("notify", {"text": "Où ?"}).outcome is Outcome.REFUSED  # no id to sign
    for request, now in zip(server.requests, (NOW, NOW + 400), strict=True):
        head, _, body = request.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert json.loads(body) == {"text": "Où ?"}
        assert verified(headers, body, [OLD], now) == verified(headers, body, [NEW], now) == "3f2a:1"
        assert verified(headers, body, [OLD, NEW], now + 301) is None


def test_a_key_file_without_a_key_stops_the_start(tmp_path: Path) -> None:
    notify = Operation("notify", "town", "POST", "/hook", signed_by=(key_file(tmp_path, "short", b"short"),))
    with Server(answers()) as server, pytest.raises(StartRefused, match="operation notify"):
        Client([server.origin()], [notify])
    with Server(answers()) as server, pytest.raises(StartRefused, match="cannot be read"):
        Client([server.origin()], [replace(notify, signed_by=(SecretFile(tmp_path / "missing"),))])
