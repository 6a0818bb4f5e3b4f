"""`check` finds what is wrong in an assistant's files, and says file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.check import problems_of
from bot.read import digest_of, read_assistant
from tests.bot.small import FLOWS, HEAD, problems, replies, training, write
from vault.errors import BadInput


def flow(steps: str, more: str = "") -> str:
    """The small assistant's flows with one more, `extra`, that the intent `hours` begins."""
    lines = "\n".join(f"      {line}" for line in steps.splitlines())
    without = FLOWS.replace("  hours: {reply: hours, title: {en: the opening hours}}\n", "")
    return without.replace("answers:", f"  extra:\n    intents: [hours]\n    steps:\n{lines}\nanswers:").replace(
        "  time: {type: text}", f"  time: {{type: text}}\n{more}"
    )


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_the_small_assistant_has_nothing_wrong(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("- goto: b\n- id: a\n  say: hours\n- id: b\n  say: hours", "step 'a' is never reached"),
        ("- id: a\n  ask: [bicycle]\n- goto: a", "from step 'a' on the flow never ends"),
        ("- id: a\n  say: hours\n- if: day == null\n  then: a", "step 'a' comes round again without a question"),
        ("- id: a\n  call: shop.find\n  failed: a\n- say: hours", "step 'a' comes round again without a question"),
        ("- run: extra\n- say: hours", "the flow extra runs this one in turn"),
        ("- say: hourz", "there is no reply 'hourz'; did you mean 'hours'?"),
        ("- say: hours\n- ask: [dya]", "there is no slot 'dya'; did you mean 'day'?"),
        ("- say: hours\n- if: dya == null", "there is no slot or result 'dya'; did you mean 'day'?"),
        ("- say: hours\n- if: day ==", "a value is missing"),
        ("- say: hours\n- call: shpo.find", "there is no connector 'shpo'; did you mean 'shop'?"),
        ("- say: hours\n- call: shop.fnid", "there is no operation 'fnid'; did you mean 'find'?"),
        ("- say: hours\n- call: shop.find\n  arguments: {dya: day}", "there is no field 'dya'"),
        ("- say: hours\n- call: shop.book", "book needs day in its path"),
        ("- say: hours\n- run: nowhere", "there is no flow 'nowhere'"),
        ("- say: hours\n- goto: nowhere", "there is no step 'nowhere' in this flow"),
        ("- say: hours\n  end: true", "this step does say and end; let each step do one of"),
        ("- id: hours", "this step does nothing"),
        ("- say: hours\n  then: x", "say: has no 'then'"),
        ("- say: hours\n- choose: time\n  from: day", "choose: 'none' is missing"),
        ("- id: a\n  say: hours\n- id: a\n  say: hours", "there are two steps 'a'"),
        ("- say: hours\n- timer: remind\n  minutes: 5", "there is no flow 'remind'"),
        ("- say: hours\n- call: shopfind", "a call is written connector.operation"),
    ],
)
def test_a_wrong_step_is_named_with_its_file_and_line(tmp_path: Path, steps: str, said: str) -> None:
    found = problems(tmp_path, flows=flow(steps))
    assert any(said in each for each in found), found
    assert all(each.startswith("flows/all.yaml:") for each in found if said in each)


def test_the_line_is_the_line(tmp_path: Path) -> None:
    flows = flow("- say: hours\n- run: nowhere")
    (found,) = problems(tmp_path, flows=flows)
    assert found.startswith(f"flows/all.yaml:{line_of(flows, 'run: nowhere')}: error: ")


@pytest.mark.parametrize(
    ("slot", "said"),
    [
        ("  extra: {type: text}", "slot extra is never filled"),
        ("  extra: {type: choice}", "options belong to type choice"),
        ("  extra: {type: number, entity: size}", "no example marks the entity 'size'"),
        ("  found: {type: text}", "the name 'found' is taken"),
        ("  today: {type: text}", "the name 'today' is taken"),
        ("  extra: {type: txet}", "'txet' is not known; use one of"),
        ("  Extra: {type: text}", "a name is made of a-z, 0-9 and _"),
        ("  extra: {type: text, title: {fr: x}}", "its title is missing in en"),
        ("  extra: {type: text, valid: value >}", "a value is missing"),
    ],
)
def test_a_wrong_slot_is_named(tmp_path: Path, slot: str, said: str) -> None:
    found = problems(tmp_path, flows=flow("- say: hours", slot))
    assert any(said in each for each in found), found


def test_a_slot_that_is_asked_needs_a_question_and_in_a_form_a_title(tmp_path: Path) -> None:
    found = problems(tmp_path, flows=flow("- ask: [size, day]\n  confirm: hours", "  size: {type: number}"))
    assert any("slot size is asked for, and has no question" in each for each in found)
    assert any("slot size may be corrected, and has no title" in each for each in found)


def test_a_reply_that_is_missing_in_a_language_is_named(tmp_path: Path) -> None:
    head = HEAD.replace("[en]", "[en, fr]")
    found = problems(tmp_path, head=head)
    assert any(each.startswith("replies/en.yaml") and "reply greet is missing in fr" in each for each in found)
    assert any("intent 'greet' has no examples in fr" in each for each in found)


def test_a_reply_that_the_dialogue_itself_needs_is_missed(tmp_path: Path) -> None:
    found = problems(tmp_path, replies=replies(system_rephrase=""))
    assert any("there is no reply 'system_rephrase'" in each for each in found)


def test_a_reply_that_is_never_said_is_a_warning(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, replies=replies(spare="Hello"))
    assert "warning: reply spare is never said" in found


def test_places_and_buttons_of_replies_are_checked(tmp_path: Path) -> None:
    assert any(
        "there is no slot or result 'nmae'" in each for each in problems(tmp_path, replies=replies(greet="{nmae}"))
    )
    assert any("'{na me}' is not a place" in each for each in problems(tmp_path, replies=replies(greet="{na me}")))
    wrong = replies().replace("greet: [{text: 'Hello.'}]", "greet: [{text: x, buttons: [{title: x, payload: /bok}]}]")
    assert any("there is no intent 'bok'; did you mean 'book'?" in each for each in problems(tmp_path, replies=wrong))
    both = wrong.replace("payload: /bok", "payload: /book, url: 'https://x'")
    assert any("either a payload or a url" in each for each in problems(tmp_path, replies=both))
    script = wrong.replace("payload: /bok", "url: 'javascript:x'")
    assert any("a link begins with https://" in each for each in problems(tmp_path, replies=script))


def test_intents_and_what_answers_them_have_to_agree(tmp_path: Path) -> None:
    more = training() + "  spare: [a, b]\n"
    assert any(
        "nlu/en.yaml" in each and "'spare' has no flow and no answer" in each
        for each in problems(tmp_path, training=more)
    )
    fewer = training().replace("  prices:", "  prizes:")
    assert any("intent 'prices' has no examples in en" in each for each in problems(tmp_path, training=fewer))
    twice = FLOWS.replace("intents: [prices]", "intents: [prices, greet]")
    assert any("'greet' is answered in two places" in each for each in problems(tmp_path, flows=twice))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("zone: UTC", "zone: Nowhere/Land", "there is no time zone 'Nowhere/Land'"),
        ("origin: https://shop.example", "origin: https://shop.example/path", "an origin is a scheme, a host"),
        (
            "origin: https://shop.example",
            "origin: http://shop.example",
            "plain http without declared networks; use https",
        ),
        ("origin: https://shop.example", "origin: https://127.0.0.1", "declare its network"),
        ("method: POST,", "method: POST, retries: 2,", "retries need idempotency_header"),
        ("purpose: service", "purpose: other", "purpose 'other' is not declared"),
        ("shown_by: [web]", "shown_by: [wbe]", "there is no channel 'wbe'; did you mean 'web'?"),
        ('"/book/{day}"', '"/book/{when}"', "the places in its path are not its fields"),
        ("controls: {affirm: affirm, ", "controls: {", "'affirm' is missing"),
        ("basis: contract", "basis: because", "'because' is not known"),
        ("retention_days: 30", "retention_days: forever", "is not a whole number"),
        ("zone: UTC", "zone: UTC\nunderstanding: {sure: 0.2, unsure: 0.5}", "unsure is above sure"),
    ],
)
def test_a_wrong_head_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in HEAD
    found = problems(tmp_path, head=HEAD.replace(old, new))
    assert any(said in each for each in found), found


def test_a_name_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "flows" / "more.yaml").write_text("answers: {greet: {reply: greet}}\n")
    assert any("'greet' is described in two files" in str(each) for each in problems_of(tmp_path))


def test_wrong_conversation_tests_are_problems_too(tmp_path: Path) -> None:
    write(tmp_path, tests="language: en\ntests:\n  - name: x\n    turns: [{bot: [greet]}, {user: a, resluts: b}]\n")
    found = [str(each) for each in problems_of(tmp_path)]
    assert any("there is no key 'resluts'; did you mean 'result'?" in each for each in found)


def test_a_folder_without_an_assistant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no assistant\.yaml"):
        read_assistant(tmp_path)


def test_the_label_changes_with_the_files_that_decide_and_not_with_the_tests(tmp_path: Path) -> None:
    before = digest_of(write(tmp_path))
    write(tmp_path, tests="language: en\ntests: []\n")
    assert digest_of(tmp_path) == before
    assert digest_of(write(tmp_path, replies=replies(greet="Hi."))) != before
