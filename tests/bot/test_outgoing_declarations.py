"""What may be declared, which addresses may be connected to, and which data may leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.outgoing import Disclosure, Field, Limits, Operation, Origin, SecretFile, SecretHeader
from bot.outgoing.addresses import address_of, may_connect, networks_of
from bot.outgoing.answer import CallFailed
from bot.outgoing.operation import disclosures
from bot.outgoing.request import request_of
from vault.errors import BadInput, StartRefused

# Addresses

PUBLIC = ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "2a00:1450:4007::1"]
NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.100.100.200",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "100::1",
    "2001:db8::1",
    "3fff::1",
]
EMBEDDING = [
    ("::ffff:{a}:{b}", "::ffff:0:0/96"),
    ("::ffff:0:{a}:{b}", "::ffff:0:0:0/96"),
    ("::{a}:{b}", "::/96"),
    ("64:ff9b::{a}:{b}", "64:ff9b::/96"),
    ("64:ff9b:1::{a}:{b}", "64:ff9b:1::/48"),
    ("2002:{a}:{b}::1", "2002::/16"),
]
"""IPv6 forms that stand for an IPv4 address of two groups, and the network to declare for them."""


def may(address: str, *networks: str) -> bool:
    found = address_of(address)
    assert found is not None
    return may_connect(found, networks_of(networks, "here"))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_needs_no_declaration_and_is_refused_where_networks_are_declared(address: str) -> None:
    assert may(address)
    assert not may(address, "10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused_unless_its_network_is_declared(address: str) -> None:
    assert not may(address)
    alone = address.partition("%")[0]
    assert may(address, f"{alone}/{32 if '.' in alone else 128}")


@pytest.mark.parametrize(("form", "network"), EMBEDDING)
def test_an_address_that_embeds_another_needs_both_declared(form: str, network: str) -> None:
    loopback, public = form.format(a="7f00", b="1"), form.format(a="808", b="808")
    assert not may(loopback)
    assert not may(public)
    assert may(public, network)
    assert not may(loopback, network)
    assert not may(loopback, "127.0.0.0/8")
    assert may(loopback, network, "127.0.0.0/8")


def test_teredo_and_isatap_are_judged_by_what_they_embed() -> None:
    assert not may("2001:0:808:808::80ff:fffe")  # to 127.0.0.1, inverted
    assert not may("2a00:1450:4007::5efe:7f00:1")
    assert not may("2a00:1450:4007::5efe:808:808")


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "0.0.0.0/4", "10.0.0.1/8", "town", "", "127.1/32"])
def test_a_declared_network_is_exact_and_not_everything(network: str) -> None:
    with pytest.raises(BadInput, match="origin town"):
        Origin("town", "https://town.example", networks=(network,))


# Origins


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("https://town.example", "town.example", 443, "town.example"),
        ("https://Town.EXAMPLE:8443/", "town.example", 8443, "town.example:8443"),
        ("https://192.0.2.7", "192.0.2.7", 443, "192.0.2.7"),
        ("https://[2001:DB8::0:7]:444", "2001:db8::7", 444, "[2001:db8::7]:444"),
        ("https://xn--mairie-9xa.example", "xn--mairie-9xa.example", 443, "xn--mairie-9xa.example"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, host: str, port: int, authority: str) -> None:
    networks = ("192.0.2.0/24", "2001:db8::/32") if ".7" in url or "[" in url else ()
    origin = Origin("town", url, networks)
    assert (origin.host, origin.port, origin.authority) == (host, port, authority)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "town.example",
        "ftp://town.example",
        "file:///etc/passwd",
        "http://town.example",  # plain, and nowhere declared
        "https://",
        "https://user:word@town.example",
        "https://user@town.example",
        "https://town.example/path",
        "https://town.example?",
        "https://town.example#",
        "https://town.example:0",
        "https://town.example:70000",
        "https://town.example:port",
        "https://town.example.",
        "https://-town.example",
        "https://town..example",
        "https://town.example\\@other.example",
        "https://town.example%00.other.example",
        "https://town.example\r\nHost: other",
        "https://to wn.example",
        "https://mairie-é.example",
        "https://127.0.0.1",
        "https://[fe80::1%25lo]",
        "https://[::1",
        "https://" + "a" * 64 + ".example",
        "https://" + "a." * 130 + "example",
    ],
)
def test_what_is_not_an_origin_is_refused_with_its_name(url: str) -> None:
    with pytest.raises(BadInput, match="origin town"):
        Origin("town", url)


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.01",
        "1.2.3.4.5",
        "0x",
        "a.0x1",
    ],
)
def test_an_ipv4_address_in_an_odd_form_is_not_a_host(host: str) -> None:
    with pytest.raises(BadInput, match="neither a name nor an IPv4 address"):
        Origin("town", f"https://{host}")


@pytest.mark.parametrize("value", [0, -1, True, 1.5, 2**40, "8"])
def test_a_limit_is_a_whole_number_above_zero(value: Any) -> None:
    with pytest.raises(BadInput, match="total_ms"):
        Limits(total_ms=value)


# Operations


def field(name: str, path: str, **more: Any) -> Field:
    return Field(name, path, **{"purpose": "service", "recipient": "Town", **more})


BOOK = Operation(
    "book",
    "town",
    "POST",
    "/offices/{office}/appointments",
    query=("lang",),
    fields=(
        field("office", "$.office", personal=False),
        field("lang", "$.lang", personal=False),
        field("e-mail", "$.person.email"),
        field("birth", "$.person.birth", purpose="identity", recipient="Registry"),
        field("documents", "$.documents[*].kind"),
        field("note", "$.note"),
    ),
)


def test_arguments_go_where_the_operation_says_and_are_disclosed_by_recipient_and_purpose() -> None:
    arguments = {
        "office": "nord é",
        "lang": "fr",
        "person": {"email": "é@x.example", "birth": "1990"},
        "documents": [{"kind": "a"}, {"kind": "b"}],
    }
    request = request_of(BOOK, arguments, 1_000)
    assert request.target == "/offices/nord%20%C3%A9/appointments?lang=fr"
    assert request.body.decode() == (
        '{"person":{"email":"é@x.example","birth":"1990"},"documents":[{"kind":"a"},{"kind":"b"}]}'
    )
    assert request.disclosures == (
        Disclosure("Town", "service", ("e-mail", "documents")),
        Disclosure("Registry", "identity", ("birth",)),
    )


@pytest.mark.parametrize(
    "extra",
    [
        {"phone": "0612345678"},
        {"person": {"email": "a", "phone": "0612345678"}},
        {"person": {"email": {"deep": "0612345678"}}},
        {"person": "0612345678"},
        {"person": ["0612345678"]},
        {"documents": ["0612345678"]},
        {"documents": [{"kind": "a"}, {"kind": "b", "phone": "0612345678"}]},
        {"note": {"0612345678": 1}},
        {"note": ["0612345678"]},
        {"0612345678": {}},
        {"phone": {}},
        {"phone": []},
        {"phone": None},
        {"": 1},
        {"a.b": 1},
        {"person.email": "0612345678"},
        {"documents[*]": 1},
        {"é": 1},
        {"x\n": 1},
        {1: 1},
    ],
)
def test_an_undeclared_field_is_refused_and_no_error_quotes_it(extra: dict[Any, Any]) -> None:
    with pytest.raises(BadInput, match="nothing was sent") as caught:
        request_of(BOOK, {"office": "north", **extra}, 1_000)
    assert "0612345678" not in str(caught.value)


@pytest.mark.parametrize("given", [{"documents": []}, {"person": {}}, {"documents": [{}]}, {}])
def test_what_is_declared_may_be_empty_or_missing(given: dict[str, Any]) -> None:
    assert request_of(BOOK, {"office": "north", **given}, 1_000).disclosures == ()


def cyclic() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "note", [float("nan"), float("inf"), b"bytes", object(), "half \ud83d", [10**5_000], {1, 2}, cyclic(), [1] * 20_000]
)
def test_a_value_that_cannot_be_sent_is_refused(note: Any) -> None:
    with pytest.raises(BadInput):
        request_of(BOOK, {"office": "north", "note": note}, 100_000)


@pytest.mark.parametrize("note", ["", "\x00", "a\r\nX: y", "😀", "\u202eabc", "<script>", True, None, 1.5, -(2**70)])
def test_any_text_or_number_can_be_sent(note: Any) -> None:
    assert request_of(BOOK, {"office": "north", "note": note}, 1_000).body


@pytest.mark.parametrize(
    "office",
    ["", ".", "..", "a/b", "../admin", "..\\admin", "a\x00", "a\r\nHost: x", "\x7f", None, [], {}, ["a"], "\udc00"],
)
def test_a_value_of_a_path_stays_one_segment_or_is_refused(office: Any) -> None:
    with pytest.raises(BadInput):
        request_of(BOOK, {"office": office}, 1_000)


@pytest.mark.parametrize("office", ["?x=1", "#x", "a b", "a%2Fb", "{office}", "é", ";p", "@host", "{0.__class__}"])
def test_a_value_of_a_path_is_encoded(office: str) -> None:
    target = request_of(BOOK, {"office": office}, 1_000).target
    assert target.isascii()
    assert target.count("/") == 3
    assert not set(target) & set("?#{} ")


def test_a_form_and_a_query_take_texts_numbers_and_lists() -> None:
    token = Operation(
        "token",
        "town",
        "POST",
        "/token",
        encoding="form",
        query=("q",),
        fields=(field("q", "$.q[*]"), field("code", "$.code"), field("on", "$.on")),
    )
    request = request_of(token, {"q": ["a&b", 2], "code": "x=y é\r\n", "on": True}, 1_000)
    assert request.target == "/token?q=a%26b&q=2"
    assert request.body == b"code=x%3Dy%20%C3%A9%0D%0A&on=true"
    assert request.content_type == "application/x-www-form-urlencoded"
    with pytest.raises(BadInput, match="nothing was sent"):
        request_of(token, {"code": {"a": 1}}, 1_000)


def test_a_request_over_its_limit_is_not_built() -> None:
    with pytest.raises(CallFailed, match="over its limit"):
        request_of(BOOK, {"office": "north", "note": "x" * 2_000}, 1_000)
    with pytest.raises(CallFailed, match="over its limit"):
        request_of(BOOK, {"office": "north", "lang": "x" * 5_000}, 100_000)


def test_a_repr_of_a_request_shows_no_value() -> None:
    assert "secretive" not in repr(request_of(BOOK, {"office": "secretive", "note": "secretive"}, 1_000))


def test_fields_that_are_not_personal_are_in_no_report() -> None:
    assert disclosures(BOOK.leaving({"office": "north", "lang": "fr"})) == ()


DECLARED: dict[str, Any] = {"name": "book", "origin": "town", "method": "POST", "path": "/a"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "bo ok"},
        {"method": "TRACE"},
        {"method": "POST\r\nX: y"},
        {"path": ""},
        {"path": "a"},
        {"path": "/a?b=c"},
        {"path": "/a#b"},
        {"path": "/../a"},
        {"path": "/a b"},
        {"path": "/a\r\nb"},
        {"path": "/{a"},
        {"path": "/{a}"},
        {"query": ("a",)},
        {"retries": 1},
        {"retries": -1},
        {"retries": 99, "idempotency_header": "Idempotency-Key"},
        {"idempotency_header": "Idempotency Key"},
        {"headers": {"Host": "other"}},
        {"headers": {"Content-Length": "5"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"Proxy-Authorization": "x"}},
        {"headers": {"X-A": "b\r\nX-C: d"}},
        {"headers": {"X-A\r\n": "b"}},
        {"headers": {"X-A": "é"}},
        {"headers": {"X-A": "a", "x-a": "b"}},
        {"headers": {"authorization": "a"}, "secrets": (SecretHeader(SecretFile(Path("x"))),)},
        {"fields": (field("a", "a"),)},
        {"fields": (field("a", "$"),)},
        {"fields": (field("a", "$.a[0]"),)},
        {"fields": (field("a", "$.a b"),)},
        {"fields": (field("a", "$.a"), field("a", "$.b"))},
        {"fields": (field("a", "$.a"), field("b", "$.a"))},
        {"fields": (field("a", "$.a", purpose=""),)},
        {"fields": (field("a", "$.a", recipient=""),)},
        {"fields": (field("a", "$.a.b"),), "path": "/{a}"},
        {"fields": (field("a", "$.a[*]"),), "path": "/{a}"},
        {"fields": (field("a", "$.a"),), "path": "/{a}/{a}"},
        {"fields": (field("a", "$.a.b"),), "query": ("a",)},
        {"fields": (field("a", "$.a.b"),), "encoding": "form"},
        {"fields": (field("a", "$.a"),), "method": "GET"},
        {"signed_by": (SecretFile(Path("a")),) * 3},
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Operation(**{**DECLARED, **wrong})


# Secrets


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> SecretFile:
    path = folder / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return SecretFile(path)


def test_a_secret_is_read_from_a_private_file_and_shown_nowhere(tmp_path: Path) -> None:
    file = secret_file(tmp_path, b"hush-hush\n")
    bearer, basic = SecretHeader(file), SecretHeader(file, scheme="Basic")
    assert bearer.value() == "Bearer hush-hush"
    assert basic.value() == "Basic aHVzaC1odXNo"
    assert SecretHeader(file, "X-Api-Key", "").value() == "hush-hush"
    assert "hush" not in repr((file, bearer))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o601])
def test_a_secret_file_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    with pytest.raises(StartRefused, match="chmod 600"):
        secret_file(tmp_path, b"hush-hush", mode).read()


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"a\nX: y", b"a\r\nX: y\n", b"a\x00", "é".encode(), b" a", b"x" * 9_000]
)
def test_a_secret_is_one_line_of_visible_ascii(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(StartRefused, match="visible ASCII"):
        secret_file(tmp_path, content).read()


def test_what_is_no_secret_file_is_refused_at_once(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("missing", "pipe", "."):
        with pytest.raises(StartRefused):
            SecretFile(tmp_path / name).read()


@pytest.mark.parametrize(
    ("header", "scheme"), [("Host", ""), ("X Y", ""), ("X\r\n", ""), ("X", "a b"), ("webhook-id", "")]
)
def test_a_secret_goes_into_a_header_that_may_be_set(header: str, scheme: str) -> None:
    with pytest.raises(BadInput):
        SecretHeader(SecretFile(Path("x")), header, scheme)
