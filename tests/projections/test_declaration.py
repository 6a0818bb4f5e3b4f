"""The declaration of a deployment: what is wrong in it is said with file, line and remedy, and never with the value."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from projections.declaration import BYTES_MAX, load, parse, schema
from projections.form import lines_of
from tests.projections.reports import DECLARED
from vault.errors import BadInput

EXAMPLES = {
    "of the tests": DECLARED,
    "of the demonstration": files("infra").joinpath("demo_declaration.toml").read_text("utf-8"),
}
MARK = "marked-value"

# (what stands there, what stands there instead, what the error says, the text of the line it names)
DAMAGE = {
    "a key that is unknown": ("address = ", "adress = ", "did you mean address?", "adress ="),
    "a table that is unknown": ("[[recipient]]", "[[recipients]]", "did you mean recipient?", "[[recipients]]"),
    "a basis that the law does not know": ('"public_task"', f'"{MARK}"', "one of consent, contract", "legal_basis"),
    "a near miss": ('"public_task"', '"public-task"', "did you mean public_task?", "legal_basis"),
    "text where a number belongs": ("365", f'"{MARK}"', "is a whole number", "retention_days"),
    "a truth where a number belongs": ("365", "true", "is a whole number", "retention_days"),
    "a number out of bounds": ("365", "0", "is from 1 to 36,500", "retention_days"),
    "a number where text belongs": ('"1 Test Street, 00000 Example"', "5", "is text", "address ="),
    "an empty text": ('"Town hall of the tests"', '"  "', "is empty", "name ="),
    "a list where a table belongs": ("[controller]", "[[controller]]", "controller is a table", "[[controller]]"),
    "an empty list": ('categories = ["messages", "health"]', "categories = []", "is empty", "categories = []"),
    "a text in one language": (
        '{ fr = "la santé", en = "health" }',
        '{ fr = "la santé" }',
        "name, en is missing",
        "name = {",
    ),
    "a missing key": ('contact = "officer@town-hall.example"', "", "contact is missing", "[data_protection_officer]"),
    "a missing table": ("[controller]", "[authority.x]", "is not known here", "[authority.x]"),
    "an id written otherwise": ('id = "health"', f'id = "Health {MARK}"', "is not written as it should be", "id = "),
    "an id that is taken": ('id = "health"', 'id = "messages"', "is taken by one above", 'id = "messages"'),
    "a category that is not declared": ('["messages", "health"]', f'["{MARK}"]', "names no category", "categories = ["),
    "a purpose that is not declared": (
        'purposes = ["service"]',
        f'purposes = ["{MARK}"]',
        "names no purpose",
        "purposes = [",
    ),
    "a special category without its basis": (
        'special_basis = "explicit_consent"',
        "",
        "special_basis is missing",
        "[[purpose]]",
    ),
    "a basis for special categories where there are none": (
        "profiling = true",
        'special_basis = "made_public"',
        "is for special categories only",
        "special_basis",
    ),
    "decisions without their logic": (
        'logic = { fr = "un calcul", en = "a calculation" }',
        "",
        "logic is missing",
        "[[purpose]]",
    ),
    "a transfer without a safeguard": ('safeguard = "standard_clauses"', "", "safeguard is missing", "[[recipient]]"),
    "a safeguard where no transfer is": ('country = "US"', 'country = "DE"', "is for transfers only", "safeguard"),
    "a country that is none": ('country = "US"', f'country = "{MARK}"', "is not written as it should be", "country"),
    "another version": ("version = 1", "version = 2", "version is 1", "version = 2"),
    "what is not TOML": ("version = 1", "version = = 1", "is not TOML", ""),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_read_and_fits_its_published_schema(name: str) -> None:
    read = parse(EXAMPLES[name])
    assert read.controller.name
    assert "service" in read.purposes
    Draft202012Validator.check_schema(schema())
    assert not list(Draft202012Validator(schema()).iter_errors(tomllib.loads(EXAMPLES[name])))


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named_with_its_line_and_a_remedy_and_without_the_value(what: str) -> None:
    there, instead, said, line = DAMAGE[what]
    assert there in DECLARED
    text = DECLARED.replace(there, instead, 1)
    with pytest.raises(BadInput) as caught:
        parse(text, "declaration.toml")
    message = str(caught.value)
    assert said in message
    assert MARK not in message
    assert "\n" not in message
    assert caught.value.remedy
    if line:
        number = int(message.removeprefix("declaration.toml, line ").split(":")[0])
        assert line in text.splitlines()[number - 1]


@pytest.mark.parametrize("what", [each for each in DAMAGE if DAMAGE[each][2] != "is not TOML"])
def test_what_the_published_schema_refuses_is_refused_and_the_rest_is_refused_for_another_reason(what: str) -> None:
    there, instead, said, _ = DAMAGE[what]
    errors = list(Draft202012Validator(schema()).iter_errors(tomllib.loads(DECLARED.replace(there, instead, 1))))
    beyond = (
        "taken",
        "names no",
        "special_basis is missing",
        "for special",
        "logic is",
        "safeguard is",
        "for transfers",
        "  ",
    )
    blank = what == "an empty text"  # to the schema, two spaces are a text
    assert bool(errors) != (any(each in said for each in beyond) or blank)


def test_a_file_that_is_not_there_is_none_and_one_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    file = tmp_path / "declaration.toml"
    assert load(file) is None
    file.write_text(DECLARED, "utf-8")
    assert load(file) is not None
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="is not UTF-8 text; save it as UTF-8"):
        load(file)
    file.write_text("#" * (BYTES_MAX + 1))
    with pytest.raises(BadInput, match="is longer than"):
        load(file)
    with pytest.raises(BadInput, match="cannot be read"):
        load(tmp_path)


def test_transfers_are_what_leaves_the_european_economic_area() -> None:
    recipients = parse(DECLARED).recipients
    assert {name: each.is_transfer for name, each in recipients.items()} == {"appointments": False, "carrier": True}


def test_every_key_of_the_schema_is_described() -> None:
    def undescribed(declared: dict[str, object], place: str = "") -> list[str]:
        found = [] if "description" in declared or "$ref" in declared else [place]
        for holder in ("properties", "$defs"):
            for name, each in declared.get(holder, {}).items():  # type: ignore[attr-defined]
                found += undescribed(each, f"{place}/{name}")
        items = declared.get("items")
        return found + (undescribed(items, f"{place}/*") if isinstance(items, dict) else [])

    assert not undescribed(json.loads(json.dumps(schema())))


# Lines


def test_every_key_is_found_in_its_line_whatever_stands_around_it() -> None:
    text = """# [not.a.table]
version = 1 # one = 2
'quoted key' = "a = b # c"
text = \"\"\"
[[purpose]]
id = "in a text"
\"\"\"
list = [
  "]", # ]
  { id = "}" },
]
[a.b] # after
c.d = '''
e = 1'''
"f.g" = { h = 1, i = [1,
2] }
[[table]]
id = 1
[[table]]
[table.name]
fr = 1
[[table.rows]]
x = 1
[[table.rows]]
x = 2
"""
    tomllib.loads(text)
    lines = lines_of(text)
    assert lines["version",] == 2
    assert lines["quoted key",] == 3
    assert lines["text",] == 4
    assert ("purpose", 0) not in lines
    assert lines["list",] == 8
    assert lines["a", "b"] == 12
    assert lines["a", "b", "c", "d"] == 13
    assert lines["a", "b", "f.g"] == 15
    assert lines["table", 0, "id"] == 18
    assert lines["table", 1] == 19
    assert lines["table", 1, "name", "fr"] == 21
    assert lines["table", 1, "rows", 0, "x"] == 23
    assert lines["table", 1, "rows", 1] == 24
    assert lines["table", 1, "rows", 1, "x"] == 25
