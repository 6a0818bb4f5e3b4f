from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vault.keys.homes import Home
from vault.keys import KeyStore


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home without a key store yet; what is opened in it is closed afterwards."""
    made = Home(tmp_path)
    yield made
    for store in made.opened:
        store.close()


@pytest.fixture
def store(home: Home) -> KeyStore:
    """A new, empty key store that holds every purpose."""
    return home.create()
