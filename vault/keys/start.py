"""Making a key store, and refusing to open one that must not be used as it is.

What belongs together is held together: the file, the KEK folder (its vault, its index secret, its epochs) and the claims (the very
file that was last open with it, or a later state of it). Each refusal says what to restore.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from vault.errors import KeysRefused, StartRefused
from vault.keys.claims import REMEDY, ClaimOptions, Claims
from vault.keys.database import Database, get_meta, set_meta
from vault.keys.index import KeyedIndex
from vault.keys.kek import FIRST_EPOCH, KekDirectory

CLAIMS_FILE = "claims.db"
"""Beside the key store."""


def create(path: Path, keks: KekDirectory, options: ClaimOptions) -> tuple[Database, Claims]:
    """A new, empty key store and its claims. `StartRefused` when there is one already."""
    with ExitStack() as closing:
        database = Database.create(path, options.busy_timeout_ms)
        closing.callback(database.close)
        claims_id = uuid4()
        claims = Claims.create(path.with_name(CLAIMS_FILE), claims_id, options)
        closing.callback(claims.close)
        index = KeyedIndex(keks.secret("index"))
        with database.writing() as c:
            set_meta(c, "vault_id", str(keks.vault_id))
            set_meta(c, "index_check", index.check())
            set_meta(c, "claims_id", str(claims_id))
            set_meta(c, "claims_generation", "0")
            set_meta(c, "epoch", str(FIRST_EPOCH))
        closing.pop_all()
    return database, claims


def open_both(path: Path, keks: KekDirectory, options: ClaimOptions, *, new_claims: bool) -> tuple[Database, Claims]:
    """The key store that is there, and its claims (or new ones).

    Raises `KeysRefused` when the KEK folder is of another vault or no longer has the key store's epoch, `StartRefused` when a file is
    missing or damaged or the claims are not those it was last open with, `HomeNewer` when a newer program made a file.
    """
    with ExitStack() as closing:
        database = Database.open(path, options.busy_timeout_ms)
        closing.callback(database.close)
        _check_keks(database, keks)
        open_claims = _new_claims if new_claims else _known_claims
        claims = open_claims(database, path.with_name(CLAIMS_FILE), options)
        closing.pop_all()
    return database, claims


def _check_keks(database: Database, keks: KekDirectory) -> None:
    with database.reading() as c:
        held = {name: get_meta(c, name) for name in ("vault_id", "index_check", "epoch", "rotating")}
    if held["epoch"] is None:
        raise StartRefused(
            f"the key store {database.path} was not made whole",
            remedy="make it again; nothing can have been stored in it",
        )
    if held["vault_id"] != str(keks.vault_id) or held["index_check"] != KeyedIndex(keks.secret("index")).check():
        raise KeysRefused(
            f"the KEK folder {keks.path} is not of the vault that the key store {database.path} is of",
            remedy="put this vault's own KEK folder there",
        )
    there = keks.epochs()
    for epoch in (held["epoch"], held["rotating"]):
        if epoch is not None and int(epoch) not in there:
            raise KeysRefused(
                f"the key store {database.path} is of epoch {epoch}, whose KEKs are not in {keks.path} (there: {there})",
                remedy="it is older than the last rotation and opens nothing; restore the backup that the rotation made",
            )


def _known_claims(database: Database, path: Path, options: ClaimOptions) -> Claims:
    """The claims that this key store was last open with, or a later state of them."""
    with database.reading() as c:  # before the claims are looked at: so two processes that open at once agree
        known, seen = get_meta(c, "claims_id"), int(get_meta(c, "claims_generation") or 0)
    with ExitStack() as closing:
        claims = Claims.open(path, options)
        closing.callback(claims.close)
        claims_id, generation = claims.identity()
        if str(claims_id) != known:
            raise StartRefused(f"the claims {path} are of another key store", remedy=REMEDY)
        if generation < seen:
            raise StartRefused(f"the claims {path} are older than the key store knows them", remedy=REMEDY)
        claims.set_generation(generation + 1)
        with database.writing() as c:
            latest = max(generation + 1, int(get_meta(c, "claims_generation") or 0))
            set_meta(c, "claims_generation", str(latest))
        closing.pop_all()
    return claims


def _new_claims(database: Database, path: Path, options: ClaimOptions) -> Claims:
    for suffix in ("", "-wal", "-shm"):
        file = Path(f"{path}{suffix}")
        if file.exists():
            file.rename(f"{path}.set-aside{suffix}")
    claims_id = uuid4()
    claims = Claims.create(path, claims_id, options)
    with database.writing() as c:
        set_meta(c, "claims_id", str(claims_id))
        set_meta(c, "claims_generation", "0")
    return claims
