"""The parts of a serving process: which there are, and which run."""

from __future__ import annotations

from vault.errors import BadInput

PARTS = ("registrar", "projections", "gateway", "nlu", "bot", "caller")
"""The parts that this version can run."""
ANSWERING = frozenset({"gateway", "nlu", "bot", "caller"})
"""The parts that run where an assistant is set."""
PLANNED = ("desk",)


def parts(only: str | None, worker: str | None = None, *, assistant: str = "", model: str = "") -> set[str]:
    """The parts that `--only` names, or all; without an assistant, all but those that answer, and a `model` is one to understand by.

    Raises `BadInput` for one that this version does not have, or a worker does not run, or nobody could answer in.
    """
    if worker and (only or "projections") != "projections":
        raise BadInput("a worker runs the projections only", remedy="leave out --only")
    if worker:
        return {"projections"}
    if not only:
        return {part for part in PARTS if assistant or part not in ANSWERING or (part == "nlu" and model)}
    wanted = {name.strip() for name in only.split(",") if name.strip()}
    for name in sorted(wanted - set(PARTS)):
        known = "is not in this version yet" if name in PLANNED else "is unknown"
        raise BadInput(f"the part {name} {known}", remedy=f"choose from {', '.join(PARTS)}")
    if wanted & (ANSWERING - {"nlu"}) and not assistant:
        raise BadInput("no assistant is set that could answer", remedy="set assistant to its folder, or to townhall")
    return wanted
