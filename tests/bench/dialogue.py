"""What deciding costs: one turn of the town hall, and whether a long conversation gets slower. No log, no sealing: the pure function."""

from __future__ import annotations

import statistics
import time

from bot.check import checked
from bot.decide import decide
from bot.state import State
from bot.understood import Entity, Ranked, Understood
from infra.assistants import SHIPPED

BEGIN_US = 1_772_442_000_000_000
TURNS = 20_000


def bench_dialogue() -> dict[str, float]:
    """Milliseconds of processor a turn, the state's way out of its bytes and into them included; most bytes of the state."""
    assistant, _ = checked(SHIPPED / "townhall")
    intents = [*sorted(assistant.flow_of), *sorted(assistant.answers), "deny", "affirm", ""]
    stored = State().to_bytes()
    spent_ms, most_bytes = [], 0
    for turn in range(TURNS):
        ranked = (Ranked(intents[turn % len(intents)], 0.9),)
        entities = (Entity("street", f"rue {turn}"), Entity("date", "2026-03-10"))
        message = Understood(f"m{turn}", BEGIN_US + turn, "rue du Stade", "fr", 0.9, ranked, entities, "web")
        begun = time.thread_time()
        decision = decide(State.from_bytes(stored), message, assistant)
        decision.state.handed_over = ""  # an agent would make the rest silent
        stored = decision.state.to_bytes()
        spent_ms.append((time.thread_time() - begun) * 1_000)
        most_bytes = max(most_bytes, len(stored))
    first, last = spent_ms[300:1_300], spent_ms[-1_000:]
    return {
        "first_ms": statistics.median(first),
        "last_ms": statistics.median(last),
        "p99_ms": statistics.quantiles(spent_ms, n=100)[98],
        "most_bytes": most_bytes,
        "ratio": statistics.median(last) / statistics.median(first),
    }
