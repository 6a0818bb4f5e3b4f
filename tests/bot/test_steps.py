"""Each kind of step, in a flow of its own: what it does, where it goes on, what it wants done."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.understood import HandedBack
from tests.bot.small import FLOWS, HEAD, MONDAY_US, Chat, made

MORE = """\
  size: {type: number, ask: ask_day, entity: number, valid: value > 10}
  helmet: {type: yes_no, ask: ask_day}
  at: {type: time, ask: ask_day, entity: time}
  note: {type: text}
"""


def chat(folder: Path, steps: str, *, more_flows: str = "", head: str = HEAD) -> Chat:
    """A chat with the small assistant, in which `hours` begins a flow of these steps."""
    lines = "\n".join(f"      {line}" for line in steps.splitlines())
    filled = "  unused:\n    steps:\n      - ask: [size, helmet, at]\n      - set: {note: today}\n"
    flows = FLOWS.replace("  hours: {reply: hours, title: {en: the opening hours}}\n", "")
    flows = flows.replace("  time: {type: text}\n", f"  time: {{type: text}}\n{MORE}")
    flows = flows.replace(
        "answers:", f"{filled}  extra:\n    intents: [hours]\n    steps:\n{lines}\n{more_flows}answers:"
    )
    return Chat(made(folder, flows=flows, head=head))


def begin(one: Chat, **entities: str) -> list[str]:
    return one.says("begin", "hours", **entities)


def test_say_says_and_goes_on(tmp_path: Path) -> None:
    assert begin(chat(tmp_path, "- say: greet\n- say: prices")) == ["greet", "prices"]


@pytest.mark.parametrize(("condition", "said"), [("today == '2026-03-02'", "greet"), ("channel == 'mail'", "prices")])
def test_if_branches(tmp_path: Path, condition: str, said: str) -> None:
    steps = f"- if: {condition}\n  then: a\n  else: b\n- id: a\n  say: greet\n- id: stop\n  end: true\n- id: b\n  say: prices"
    assert begin(chat(tmp_path, steps)) == [said]


def test_set_fills_and_empties(tmp_path: Path) -> None:
    one = chat(tmp_path, "- set: {note: \"'x' + 'y'\"}\n- ask: [size]\n- set: {note: \"null\"}\n- ask: [helmet]")
    begin(one)
    assert one.state.slots == {"note": "xy"}
    one.says("12")
    assert one.state.slots == {"size": 12}


@pytest.mark.parametrize(("typed", "value"), [("12", 12), ("12,5", 12.5), ("5", None), ("many", None)])
def test_a_number_is_read_and_checked(tmp_path: Path, typed: str, value: float | None) -> None:
    one = chat(tmp_path, "- ask: [size]\n- ask: [helmet]")
    begin(one)
    one.says(typed)
    assert one.state.slots.get("size") == value


@pytest.mark.parametrize(("intent", "value"), [("affirm", True), ("deny", False)])
def test_yes_and_no_fill_a_slot(tmp_path: Path, intent: str, value: bool) -> None:
    one = chat(tmp_path, "- ask: [helmet]\n- ask: [at]")
    begin(one)
    assert [button.payload for button in one.last.replies[0].buttons] == ["/affirm", "/deny"]
    one.says("well", intent)
    assert one.state.slots == {"helmet": value}


def test_a_time_is_taken_from_an_entity_or_from_its_digits(tmp_path: Path) -> None:
    one = chat(tmp_path, "- ask: [at]\n- ask: [size]")
    begin(one, time="2026-03-05T14:30:00")
    assert one.state.slots == {"at": "14:30"}


def test_confirm_goes_on_at_yes_and_at_no(tmp_path: Path) -> None:
    steps = "- confirm: hours\n  no: b\n- say: greet\n- id: stop\n  end: true\n- id: b\n  say: prices"
    one = chat(tmp_path, steps)
    begin(one)
    assert one.says("yes", "affirm") == ["greet"]
    begin(one)
    assert one.says("no", "deny") == ["prices"]
    begin(one)
    assert one.says("perhaps") == ["system_invalid", "hours"]
    one.says("perhaps")
    assert one.says("perhaps") == ["system_give_up", "system_offer_agent"]


def test_giving_up_goes_where_the_author_says(tmp_path: Path) -> None:
    steps = "- ask: [size]\n  give_up: b\n- say: greet\n- id: stop\n  end: true\n- id: b\n  say: prices"
    one = chat(tmp_path, steps)
    begin(one)
    one.says("?")
    one.says("?")
    assert one.says("?") == ["prices"]


def test_a_flow_that_is_run_shares_what_is_known_and_comes_back(tmp_path: Path) -> None:
    inner = "  inner:\n    steps:\n      - ask: [size]\n      - say: prices\n"
    one = chat(
        tmp_path, "- run: inner\n- if: size == 12\n  then: a\n  else: a\n- id: a\n  say: greet", more_flows=inner
    )
    begin(one)
    assert [frame.role for frame in one.state.frames] == ["main", "sub"]
    assert one.says("12") == ["prices", "greet"]
    assert one.state.frames == []


def test_a_flow_that_is_returned_to_stands_where_it_stood_within_the_one_it_runs(tmp_path: Path) -> None:
    inner = "  inner:\n    steps:\n      - ask: [size]\n      - say: hours\n"
    one = chat(tmp_path, "- run: inner\n- say: greet", more_flows=inner)
    begin(one)
    one.says("book", "book")
    assert begin(one) == ["ask_day"]
    assert one.says("12") == ["hours", "greet"]


@pytest.mark.parametrize("kind", ["notice", "consent", "right"])
def test_record_wants_something_recorded(tmp_path: Path, kind: str) -> None:
    one = chat(tmp_path, f"- record: {kind}\n  name: improvement\n- say: greet")
    begin(one)
    assert [(effect.kind, effect.name) for effect in one.last.effects] == [(kind, "improvement"), ("deliver", "reply")]


def test_a_timer_is_wanted_for_later_with_the_slots_it_keeps(tmp_path: Path) -> None:
    steps = "- ask: [bicycle]\n- timer: prices\n  minutes: 60\n  keep: [bicycle]"
    one = chat(tmp_path, steps)
    begin(one, bicycle="cargo")
    (effect,) = one.last.effects
    assert (effect.kind, effect.name) == ("timer", "prices")
    assert effect.arguments == {"at_us": MONDAY_US + 3_601_000_000, "slots": {"bicycle": "cargo"}, "language": "en"}


@pytest.mark.parametrize(
    ("before", "due_us"),
    [
        ("'2026-03-03T10:00'", MONDAY_US + 24 * 3_600_000_000),
        ("'2026-03-03T11:00+01:00'", MONDAY_US + 24 * 3_600_000_000),
        ("'2026-03-01T10:00'", None),
        ("'nonsense'", None),
        ("unknown.deeper", None),
    ],
)
def test_a_timer_before_a_moment_is_wanted_only_if_that_is_still_to_come(
    tmp_path: Path, before: str, due_us: int | None
) -> None:
    before = before.replace("unknown", "found")
    one = chat(tmp_path, f'- timer: prices\n  minutes: 60\n  before: "{before}"\n- say: greet')
    begin(one)
    timers = [effect.arguments["at_us"] for effect in one.last.effects if effect.kind == "timer"]
    assert timers == ([] if due_us is None else [due_us])


def test_handover_goes_on_when_the_conversation_comes_back(tmp_path: Path) -> None:
    one = chat(tmp_path, "- handover: help\n- say: greet")
    assert begin(one) == ["system_handover"]
    assert one.hear(HandedBack("b", one.at_us + 1)) == ["system_handed_back", "greet"]


def test_handover_outside_the_hours_is_said_and_the_flow_goes_on(tmp_path: Path) -> None:
    head = HEAD.replace("{queue: counter}", '{queue: counter, hours: {tuesday: ["09:00-17:00"]}}')
    one = chat(tmp_path, "- handover: help\n- say: greet", head=head)
    assert begin(one) == ["system_agent_closed", "greet"]
    one.passes(24 * 60)
    assert begin(one) == ["system_handover"]


def test_a_call_says_that_it_takes_a_moment_and_its_result_has_a_bound(tmp_path: Path) -> None:
    one = chat(tmp_path, "- call: shop.find\n  arguments: {day: today}\n  wait: hours\n- say: greet")
    assert begin(one) == ["hours"]
    assert one.says("hello?") == ["system_working"]
    assert one.returns({"x": ["y" * 10_000] * 1_000}) == ["greet"]
    assert len(one.state.to_bytes()) < 1_000
