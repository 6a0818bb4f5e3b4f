"""Where assistants are, and what may understand for one in its tests: known without reading any."""

from __future__ import annotations

from pathlib import Path

from vault.errors import BadInput

SHIPPED = Path(__file__).resolve().parent.parent / "bot" / "assistants"
DECLARED, EXAMPLES, TRAINED = "declared", "examples", "trained"
UNDERSTANDINGS = (DECLARED, EXAMPLES, TRAINED)
"""What understands: the tests themselves say it, the example that is nearest, or a trained model."""


def folder_of(assistant: str) -> Path:
    """The folder of an assistant, or of a shipped one by its name."""
    for folder in (Path(assistant), SHIPPED / assistant):
        if (folder / "assistant.yaml").is_file():
            return folder
    shipped = ", ".join(sorted(each.name for each in SHIPPED.iterdir() if each.is_dir()))
    raise BadInput(f"there is no assistant.yaml in {assistant}", remedy=f"give its folder, or one of: {shipped}")
