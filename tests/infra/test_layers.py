"""Who imports whom: packages meet only in the log, and one place wires them together."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "vault": {"vault", "schemas"},
    "nlu": {"nlu", "vault"},
    "bot": {"bot", "vault"},
    "projections": {"projections", "vault"},
    "infra": {"infra", "vault", "nlu", "bot", "projections", "schemas"},
    "schemas": {"schemas"},
}
MODULES = sorted(path for package in MAY_IMPORT for path in (CHECKOUT / package).rglob("*.py"))
OUTWARD = {"requests", "httpx", "urllib3", "aiohttp", "ftplib", "smtplib", "telnetlib", "xmlrpc"}
"""What calls out to the network. `urllib.parse` only takes apart."""


def imported(path: Path, root: Path = CHECKOUT) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in it."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                package = path.relative_to(root).parts[: -node.level]
                yield ".".join((*package, *filter(None, [node.module])))
            else:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in {"import_module", "__import__"}:
            named = node.args[0] if node.args else None
            yield named.value if isinstance(named, ast.Constant) and isinstance(named.value, str) else "?"


def _name(function: ast.expr) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def ids(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_a_module_imports_only_what_its_package_may(path: Path) -> None:
    package = path.relative_to(CHECKOUT).parts[0]
    ours = {name.split(".")[0] for name in imported(path)} & {*MAY_IMPORT, "tests", "?"}
    assert ours <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_nothing_calls_out_but_declared_channels_and_connectors(path: Path) -> None:
    names = set(imported(path))
    assert not {name.split(".")[0] for name in names} & OUTWARD
    assert not [name for name in names if name.startswith(("urllib.request", "http.client"))]


def test_every_package_is_looked_at_and_declared() -> None:
    looked_at = {path.relative_to(CHECKOUT).parts[0] for path in MODULES}
    assert looked_at == set(MAY_IMPORT)
    found = {path.parent.name for path in CHECKOUT.glob("*/__init__.py")}
    assert found - {"tests"} == set(MAY_IMPORT)


def test_top_level_holds_what_the_readme_says_and_nothing_else() -> None:
    tracked = {path.name for path in CHECKOUT.iterdir() if not path.name.startswith(".")}
    generated = {name for name in tracked if name.endswith(".egg-info")} | {"build", "__pycache__"}
    assert tracked - generated <= {*MAY_IMPORT, "tests", "pyproject.toml", "README.md", "LICENSE"}


def test_every_way_to_import_is_seen(tmp_path: Path) -> None:
    (tmp_path / "vault" / "keys").mkdir(parents=True)
    file = tmp_path / "vault" / "keys" / "one.py"
    file.write_text(
        "import bot.flow\nfrom nlu import train\ndef later():\n    from projections.store import Store\n"
        "from . import two\nfrom ..log import Log\nimport importlib\nimportlib.import_module('infra.house')\n"
    )
    seen = set(imported(file, tmp_path))
    assert {"bot.flow", "nlu.train", "projections.store.Store", "vault.keys", "vault.log", "infra.house"} <= seen
