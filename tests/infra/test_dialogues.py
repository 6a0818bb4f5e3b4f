"""Recorded dialogues: what is read, what is made up for them, and how a broken file is refused."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from infra.dialogues import DAY_US, DAYS, ENDS_AT_US, LINE_MESSAGES_MAX, Dialogue, cast, open_counted, read, size, timed
from vault.errors import BadInput

BYTES_MAX = 1_000
MARK = "marked-utterance"


def user(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"speaker": "user", "utterance": text, **more}


def system(text: str = "yes?", **more: Any) -> dict[str, Any]:
    return {"speaker": "system", "utterance": text, **more}


def dialogue(*turns: object, dialogue_id: object = "d-1", **more: object) -> dict[str, object]:
    return {"dialogue_id": dialogue_id, "turns": list(turns), **more}


def written(tmp_path: Path, *lines: object) -> Path:
    file = tmp_path / "dialogues.jsonl"
    file.write_bytes(b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines))
    return file


def all_of(file: Path) -> list[Dialogue]:
    with open_counted(file) as counted:
        return list(read(counted, message_bytes_max=BYTES_MAX))


def only(tmp_path: Path, one: object) -> Dialogue:
    (found,) = all_of(written(tmp_path, one))
    return found


def refusal(file: Path) -> tuple[list[Dialogue], str]:
    """What was read before the refusal, and what it says."""
    before: list[Dialogue] = []
    with open_counted(file) as counted:
        reading = read(counted, message_bytes_max=BYTES_MAX)
        with pytest.raises(BadInput) as caught:
            before.extend(reading)
    return before, str(caught.value)


# Reading


def test_an_exchange_is_a_user_turn_with_everything_that_was_replied_to_it(tmp_path: Path) -> None:
    found = only(
        tmp_path,
        dialogue(
            user("a table in Lyon", intent=["Reserve", "Find"], slots=[["city", 11, 15]]),
            system("one moment"),
            system("done", slots=[["state", 0, 4]]),
            user("thanks"),
            language="fr",
        ),
    )
    first, second = found.exchanges
    assert (first.text, first.intent, first.alternatives) == ("a table in Lyon", "Reserve", ("Find",))
    assert first.replies == ("one moment", "done")
    (city,) = first.entities
    assert (city.entity, city.value, city.start, city.end) == ("city", "Lyon", 11, 15)
    assert (second.intent, second.alternatives, second.entities, second.replies) == ("", (), (), ())
    assert found.language == "fr"


def test_what_the_system_says_first_goes_with_the_first_exchange(tmp_path: Path) -> None:
    (exchange,) = only(tmp_path, dialogue(system("welcome"), user("hello"), system("yes?"))).exchanges
    assert exchange.replies == ("welcome", "yes?")


def test_spans_are_counted_in_characters(tmp_path: Path) -> None:
    (exchange,) = only(tmp_path, dialogue(user("😀 à Évry", slots=[["city", 4, 8]]))).exchanges
    assert exchange.entities[0].value == "Évry"


def test_gzip_is_seen_from_the_bytes_whatever_the_file_is_called(tmp_path: Path) -> None:
    plain = written(tmp_path, dialogue(user("one")), dialogue(user("two")))
    packed = tmp_path / "packed.txt"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert all_of(packed) == all_of(plain)


def test_blank_lines_and_a_missing_last_line_end_are_nothing_to_refuse(tmp_path: Path) -> None:
    line = json.dumps(dialogue(user())).encode()
    assert len(all_of(written(tmp_path, b"\n", line, b"\n \n", line))) == 2
    assert all_of(written(tmp_path)) == []


def test_progress_ends_at_the_size_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "packed"
    file.write_bytes(gzip.compress(json.dumps(dialogue(user())).encode() * 1))
    with open_counted(file) as counted:
        list(read(counted, message_bytes_max=BYTES_MAX))
        assert counted.consumed == size(file) == file.stat().st_size


# Refusing


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{\n", "not JSON at character 2"),
        (b'{"dialogue_id": "\xff"}\n', "not UTF-8 at byte 18"),
        (b"[" * 20_000 + b"\n", "nested too deep"),
        (b"[1]\n", "a dialogue is a JSON object"),
        (dialogue(user(), dialogue_id=7), "dialogue_id is text"),
        (dialogue(user(), dialogue_id=""), "dialogue_id is text"),
        (dialogue(user(), dialogue_id="x" * 201), "dialogue_id is text of 1 to 200"),
        (dialogue(user(), language=None), "language is text"),
        ({"dialogue_id": "d"}, "turns is a list"),
        ({"dialogue_id": "d", "turns": {"0": user()}}, "turns is a list"),
        (dialogue(), "no turn of a user"),
        (dialogue(system()), "no turn of a user"),
        (dialogue("hello"), "turn 1: a turn is a JSON object"),
        (dialogue(user(), {"speaker": "agent", "utterance": MARK}), "turn 2: speaker is user or system"),
        (dialogue({"speaker": "user"}), "turn 1: utterance is text"),
        (dialogue(user(), system(["x"])), "turn 2: utterance is text"),  # type: ignore[arg-type]
        (dialogue(user("x" * (BYTES_MAX + 1))), "turn 1: longer than message_bytes_max"),
        (dialogue(user(), system("é" * (BYTES_MAX // 2 + 1))), "turn 2: longer than message_bytes_max"),
        (dialogue(user("\ud800")), "half of a surrogate pair"),
        (dialogue(user(intent="greet")), "intent is a list"),
        (dialogue(user(intent=[7])), "intent is text"),
        (dialogue(user(slots={})), "slots is a list"),
        (dialogue(user(slots=[["city", 0]])), "slot 1: a slot is [name, start, end]"),
        (dialogue(user(slots=[["city", 0, True]])), "slot 1: a slot is [name, start, end]"),
        (
            dialogue(user(slots=[["city", 0, 2], ["city", 0, 6]])),
            "slot 2: the span 0 to 6 is not within the 5 characters",
        ),
        (dialogue(user(slots=[["city", -1, 2]])), "the span -1 to 2"),
        (dialogue(user(slots=[["city", 2, 2]])), "the span 2 to 2"),
        (dialogue(user(), system(slots=[["city", 0, 99]])), "turn 2, slot 1: the span 0 to 99"),
        (b'"' + b"x" * (BYTES_MAX * LINE_MESSAGES_MAX) + b'"\n', "longer than 64,000 bytes"),
    ],
)
def test_a_bad_line_is_refused_with_its_place_after_the_good_ones(tmp_path: Path, line: object, says: str) -> None:
    file = written(
        tmp_path, dialogue(user(), dialogue_id="good"), b"\n", line, dialogue(user(), dialogue_id="never read")
    )
    before, said = refusal(file)
    assert [one.dialogue_id for one in before] == ["good"]
    assert said.startswith(f"{file}, line 3")
    assert says in said
    assert MARK not in said


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_cut_gzip_file_is_refused_after_the_lines_that_are_whole(tmp_path: Path, kept: float) -> None:
    lines = [
        json.dumps(dialogue(user(f"{number * 7919 % 1000003}"), dialogue_id=str(number))).encode()
        for number in range(3_000)
    ]
    whole = gzip.compress(b"\n".join(lines))
    file = tmp_path / "cut.gz"
    file.write_bytes(whole[: int(len(whole) * kept)])
    before, said = refusal(file)
    assert len(before) > 3_000 * kept * 0.8
    assert [one.dialogue_id for one in before] == [str(number) for number in range(len(before))]
    assert f"line {len(before) + 1}: the gzip file ends in the middle" in said


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    damaged = bytearray(gzip.compress(json.dumps(dialogue(user())).encode()))
    damaged[len(damaged) // 2] ^= 0xFF
    file = tmp_path / "damaged.gz"
    file.write_bytes(damaged)
    assert "the gzip file is damaged" in refusal(file)[1]


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        size(tmp_path / "none")
    for place in (tmp_path / "none", tmp_path):
        with pytest.raises(BadInput, match="cannot be read"):
            open_counted(place)


# What is made up


def made_up(tmp_path: Path, people: int = 20) -> list[object]:
    lines = [dialogue(user("a"), system("b"), user("c"), dialogue_id=str(number)) for number in range(300)]
    return [
        (role := cast(one, people=people), [(exchange.message_id, at) for exchange, at in timed(one, role)])
        for one in all_of(written(tmp_path, *lines))
    ]


def test_the_same_file_makes_the_same_messages_again(tmp_path: Path) -> None:
    assert made_up(tmp_path) == made_up(tmp_path)


def test_different_dialogues_of_one_id_have_different_messages(tmp_path: Path) -> None:
    first, second = all_of(written(tmp_path, dialogue(user("one")), dialogue(user("two"))))
    assert first.dialogue_id == second.dialogue_id
    assert first.exchanges[0].message_id != second.exchanges[0].message_id


def test_people_are_as_many_as_were_asked_for_each_on_one_channel(tmp_path: Path) -> None:
    roles = [
        cast(one, people=20)
        for one in all_of(written(tmp_path, *(dialogue(user(), dialogue_id=str(n)) for n in range(500))))
    ]
    assert {role.person for role in roles} == {f"visitor-{number:04d}" for number in range(1, 21)}
    assert max(Counter(person for person, _ in {(role.person, role.channel) for role in roles}).values()) == 1
    assert len({role.channel for role in roles}) > 2
    with pytest.raises(BadInput, match="at least one"):
        cast(all_of(written(tmp_path, dialogue(user())))[0], people=0)


def test_times_rise_within_a_dialogue_and_lie_within_the_made_up_days(tmp_path: Path) -> None:
    long = dialogue(*(user(str(number)) for number in range(300)))
    (one,) = all_of(written(tmp_path, long))
    times = [at for _, at in timed(one, cast(one, people=1))]
    assert times == sorted(set(times))
    assert ENDS_AT_US - DAYS * DAY_US <= times[0] < times[-1] < ENDS_AT_US


def test_every_message_of_the_real_files_has_an_id_of_its_own(data: Path) -> None:
    ids: set[str] = set()
    user_turns = 0
    for name in ("train", "dev"):  # nearly every id of a dialogue in the second stands in the first, too
        file = data / "sgd" / f"{name}.jsonl.gz"
        with open_counted(file) as counted:
            for one in read(counted, message_bytes_max=65_536):
                user_turns += len(one.exchanges)
                ids.update(exchange.message_id for exchange in one.exchanges)
    assert user_turns == 111_878 + 19_384
    assert len(ids) == user_turns
