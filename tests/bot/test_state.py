"""The state: small whatever happens, canonical, and refused when it is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.state import RESULT_BYTES_MAX, STATE_BYTES_MAX, Frame, State, bounded, bounded_result
from vault.errors import BadInput

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


def test_a_state_comes_back_from_its_bytes_as_it_was() -> None:
    state = State(
        "a 1",
        "fr",
        True,
        True,
        5,
        {"x": 1},
        {"r": {"y": [2]}},
        [Frame("f", "s", "main", {"slot": "x"})],
        {"kind": "agent"},
    )
    assert State.from_bytes(state.to_bytes()) == state
    assert State.from_bytes(state.to_bytes()).to_bytes() == state.to_bytes()


@pytest.mark.parametrize(
    "stored", [b"", b"{}", b"[]", b'{"format": 2, "frames": []}', b"\xff", b'{"format": 1, "frames": [{"x": 1}]}']
)
def test_what_is_no_state_is_refused(stored: bytes) -> None:
    with pytest.raises(BadInput, match="begin anew"):
        State.from_bytes(stored)


def test_a_state_that_grows_too_large_loses_results_then_old_flows_then_slots() -> None:
    state = State(slots={f"s{n}": "x" * 500 for n in range(60)}, results={"r": "y" * 6_000})
    state.frames = [Frame("old", "s", held={"slots": {"a": "z" * 9_000}}), Frame("new", "s")]
    state.fit()
    assert len(state.to_bytes()) <= STATE_BYTES_MAX
    assert state.results == {}
    assert [frame.flow for frame in state.frames] == ["new"]


def test_a_flow_that_becomes_the_lowest_holds_nothing_for_one_that_is_gone() -> None:
    state = State(frames=[Frame("old", "s"), Frame("sub", "s", "sub"), Frame("new", "s", held={"slots": {"a": 1}})])
    state.drop_oldest()
    assert [(frame.flow, frame.held) for frame in state.frames] == [("new", {})]


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_whatever_a_connector_returns_is_bounded_and_json(value: Any) -> None:
    cut = bounded_result(value)
    state = State(results={"r": cut})
    assert State.from_bytes(state.to_bytes()) == state
    assert bounded(cut) == cut


def test_a_result_of_many_megabytes_is_cut_to_its_bound() -> None:
    result = bounded_result({"rows": [{"text": "x" * 10_000} for _ in range(10_000)], "n": 7})
    assert len(str(result)) <= RESULT_BYTES_MAX + 100
    assert result["n"] == 7


def test_an_unpaired_surrogate_is_replaced() -> None:
    assert bounded("a\ud800b") == "a?b"
