"""The likeliest taggings of many messages at once (Viterbi)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nlu.entities.chain import Chain, Floats

MESSAGES_AT_ONCE = 64
"""It bounds memory: (messages, kinds + 1, tags) float32."""


def decode(scores: Floats, lengths: NDArray[np.int64], chain: Chain) -> NDArray[np.int64]:
    """Tags (n_tokens,) of `scores` (n_tokens, n_tags), the messages' tokens one after the other; `lengths` (n_messages,), none 0.

    Tag 0 is no entity; 2k + 1 begins the kind k, and 2k + 2 goes on with it, after one of these two only: the search uses that.
    """
    order = np.argsort(-lengths, kind="stable")
    firsts = np.cumsum(lengths) - lengths
    chosen = np.zeros(len(scores), np.int64)
    for at in range(0, len(order), MESSAGES_AT_ONCE):
        some = order[at : at + MESSAGES_AT_ONCE]
        _decode(scores, firsts[some], lengths[some], chain, chosen)
    return chosen


def _decode(
    scores: Floats, starts: NDArray[np.int64], sizes: NDArray[np.int64], chain: Chain, chosen: NDArray[np.int64]
) -> None:
    """Fills `chosen` for messages in order of falling size."""
    n_tags = scores.shape[1]
    fresh = np.concatenate([[0], np.arange(1, n_tags, 2)])
    into_fresh = np.ascontiguousarray(chain.transition[:, fresh].T)
    begin, inside = np.arange(1, n_tags, 2), np.arange(2, n_tags, 2)
    from_begin, from_inside = chain.transition[begin, inside], chain.transition[inside, inside]
    longest = int(sizes[0])
    living = np.searchsorted(-sizes, -np.arange(longest), side="left")
    best = scores[starts] + chain.initial
    back = [np.zeros((living[place], n_tags), np.int16) for place in range(longest)]
    for place in range(1, longest):
        now = living[place]
        before = best[:now]
        ways = before[:, None, :] + into_fresh
        whence = ways.argmax(axis=2)
        after = np.empty_like(before)
        after[:, fresh] = np.take_along_axis(ways, whence[:, :, None], axis=2)[:, :, 0]
        back[place][:, fresh] = whence
        begun, went_on = before[:, begin] + from_begin, before[:, inside] + from_inside
        after[:, inside] = np.maximum(begun, went_on)
        back[place][:, inside] = np.where(begun >= went_on, begin, inside)
        best[:now] = after + scores[starts[:now] + place]
    pointer = best.argmax(axis=1)
    for place in range(longest - 1, -1, -1):
        now = living[place]
        chosen[starts[:now] + place] = pointer[:now]
        pointer[:now] = back[place][np.arange(now), pointer[:now]]


def certainty(scores: Floats, tags: NDArray[np.int64], at: int, first: int, last: int, chain: Chain) -> float:
    """How likely the token's tag is beside every other tag, given the tags of its neighbours in [first, last) of its message."""
    here = scores[at] + (chain.transition[tags[at - 1]] if at > first else chain.initial)
    if at + 1 < last:
        here = here + chain.transition[:, tags[at + 1]]
    likely = np.exp(here - here.max())
    return float(likely[tags[at]] / likely.sum())
