"""The key encryption keys (KEKs) of a vault, in a folder that only its owner can read. Whoever holds them opens the key store.

    keks/                   mode 0700
      vault-id              which vault they are of
      service.1.kek         purpose, epoch: 32 random bytes as 64 hexadecimal digits and a newline, mode 0600
      log.secret            MAC key of the log             ┐ the same form; of the vault, not of an epoch: what they make stands in
      index.secret          keyed hashes of the key store  ┘ the log and in the index for as long as these do

A process opens only the purposes it was given, so its memory can leak no other. A destroyed KEK is overwritten with zeros and
unlinked; a file of zeros is a destruction that was interrupted and counts as destroyed. Overwriting cannot reach copies that a file
system or a solid-state disk keeps below the file: keep the folder on a medium that is encrypted or does not do that.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import BadInput, KeysRefused, KeysUnavailable, KeyWithheld

PURPOSES = ("service", "rights", "improvement", "evidence", "identity")
SECRETS = ("log", "index")
KEK_SIZE = 32
FIRST_EPOCH = 1

_FILE_SIZE = 2 * KEK_SIZE + 1
_ZEROS = b"0" * (2 * KEK_SIZE) + b"\n"
_KEK_NAME = re.compile(rf"({'|'.join(PURPOSES)})\.([1-9][0-9]{{0,8}})\.kek")


class KekDirectory:
    """An open KEK folder. Every refusal is a `KeysRefused` that names the path and what to do."""

    def __init__(self, path: Path, vault_id: UUID, purposes: Collection[str]) -> None:
        """Use `create` or `open`."""
        self.path = path
        self.vault_id = vault_id
        self.purposes = frozenset(purposes)
        self._keks: dict[tuple[str, int], AESGCM] = {}

    @classmethod
    def create(cls, path: Path, vault_id: UUID) -> KekDirectory:
        """Makes the folder, its secrets and the KEKs of the first epoch, and opens all of them."""
        with _translated(path):
            path.mkdir(mode=0o700, parents=True)
            path.chmod(0o700)  # whatever the umask took away
            _write(path / "vault-id", str(vault_id).encode() + b"\n")
            for name in SECRETS:
                _write(path / f"{name}.secret", _fresh())
        directory = cls(path, vault_id, PURPOSES)
        directory.make_epoch(FIRST_EPOCH)
        return directory

    @classmethod
    def open(cls, path: Path, vault_id: UUID, purposes: Collection[str]) -> KekDirectory:
        """Opens the KEKs of the given purposes, of every epoch there is."""
        if unknown := set(purposes) - set(PURPOSES):
            raise BadInput(f"unknown purpose {sorted(unknown)[0]}", remedy=f"one of {', '.join(PURPOSES)}")
        with _translated(path):
            _check_folder(path)
            try:
                found = UUID(_read(path / "vault-id", limit=64).decode().strip())
            except ValueError:
                raise KeysRefused(f"{path / 'vault-id'} is damaged", remedy="restore it from a backup") from None
            if found != vault_id:
                raise KeysRefused(
                    f"the KEK folder {path} is of vault {found}, this is vault {vault_id}",
                    remedy="put this vault's own KEK folder there",
                )
            directory = cls(path, vault_id, purposes)
            for purpose, epoch in directory._listed():
                if purpose in directory.purposes:
                    directory._load(purpose, epoch)
        for purpose in sorted(directory.purposes):
            if not any(held == purpose for held, _ in directory._keks):
                raise KeysRefused(
                    f"the KEK folder {path} holds no KEK of purpose {purpose}", remedy="restore it from a backup"
                )
        return directory

    def kek(self, purpose: str, epoch: int) -> AESGCM:
        """The KEK of a purpose and epoch. `KeyWithheld` for a purpose this process was not given."""
        kek = self._keks.get((purpose, epoch))
        if kek is not None:
            return kek
        if purpose not in self.purposes:
            raise KeyWithheld(f"this process does not hold the KEKs of purpose {purpose}")
        with _translated(self.path):
            if self._name(purpose, epoch).exists():  # made by a rotation since
                self._load(purpose, epoch)
        kek = self._keks.get((purpose, epoch))
        if kek is None:
            raise KeysRefused(
                f"the KEK folder {self.path} has no KEK of purpose {purpose} for epoch {epoch}",
                remedy="use the key store that belongs to it: keys from before a rotation open nothing after it",
            )
        return kek

    def secret(self, name: str) -> bytes:
        """32 bytes: `log` (MAC key of the log) or `index` (keyed hashes of the key store)."""
        if name not in SECRETS:
            raise BadInput(f"unknown secret {name}", remedy=f"one of {', '.join(SECRETS)}")
        file = self.path / f"{name}.secret"
        with _translated(self.path):
            material = _parse(file, _read(file))
        if material is None:
            raise KeysRefused(f"{file} was destroyed", remedy="restore it from a backup")
        return material

    def epochs(self) -> list[int]:
        """Epochs for which every purpose of this process has a KEK, in order."""
        with _translated(self.path):
            found: dict[int, set[str]] = {}
            for purpose, epoch in self._listed():
                if purpose in self.purposes and ((purpose, epoch) in self._keks or self._load(purpose, epoch)):
                    found.setdefault(epoch, set()).add(purpose)
        return sorted(epoch for epoch, purposes in found.items() if purposes == self.purposes)

    def remains(self) -> list[int]:
        """Epochs of which any file is left, destroyed or not, in order."""
        with _translated(self.path):
            return sorted({epoch for _, epoch in self._listed()})

    def make_epoch(self, epoch: int) -> None:
        """Makes the KEKs of an epoch, those that are not there yet. Needs a process that holds every purpose."""
        self._whole("made")
        with _translated(self.path):
            for purpose in PURPOSES:
                file = self._name(purpose, epoch)
                if not file.exists():
                    _write(file, _fresh())
                self._load(purpose, epoch)

    def destroy_epoch(self, epoch: int) -> None:
        """Overwrites and unlinks every KEK of an epoch. What is wrapped under them is lost for good."""
        self._whole("destroyed")
        with _translated(self.path):
            for purpose in PURPOSES:
                self._keks.pop((purpose, epoch), None)
                file = self._name(purpose, epoch)
                if file.exists():
                    _destroy(file)
            _sync_folder(self.path)

    def _whole(self, done: str) -> None:
        if self.purposes != set(PURPOSES):
            raise KeyWithheld(f"an epoch can be {done} only by a process that holds the KEKs of every purpose")

    def _name(self, purpose: str, epoch: int) -> Path:
        return self.path / f"{purpose}.{epoch}.kek"

    def _listed(self) -> Iterator[tuple[str, int]]:
        for name in os.listdir(self.path):
            if found := _KEK_NAME.fullmatch(name):
                yield found[1], int(found[2])

    def _load(self, purpose: str, epoch: int) -> bool:
        file = self._name(purpose, epoch)
        material = _parse(file, _read(file))
        if material is not None:
            self._keks[purpose, epoch] = AESGCM(material)
        return material is not None


def _fresh() -> bytes:
    return os.urandom(KEK_SIZE).hex().encode() + b"\n"


def _parse(file: Path, content: bytes) -> bytes | None:
    """The key in a file; None when it was destroyed."""
    if content == _ZEROS:
        return None
    try:
        material = bytes.fromhex(content.decode())
    except ValueError:
        material = b""
    if len(material) != KEK_SIZE:
        raise KeysRefused(f"{file} is damaged", remedy="restore it from a backup")
    return material


def _check_folder(path: Path) -> None:
    held = path.lstat()
    if not stat.S_ISDIR(held.st_mode):
        raise KeysRefused(f"{path} is not a folder", remedy="put the vault's KEK folder there")
    _check(path, held, 0o700)


def _check(path: Path, held: os.stat_result, mode: int) -> None:
    # Risk: another account of the machine reads the KEKs and with them everything. Refusing a folder that was ever readable by
    # others makes that visible at the next start instead of never.
    if held.st_uid != os.geteuid():
        raise KeysRefused(
            f"{path} belongs to user {held.st_uid}, not to user {os.geteuid()} who runs this", remedy="chown it"
        )
    found = stat.S_IMODE(held.st_mode)
    if found & ~mode:
        raise KeysRefused(
            f"{path} has mode {found:04o}, which is looser than {mode:04o}", remedy=f"run: chmod {mode:04o} {path}"
        )


def _read(file: Path, limit: int = _FILE_SIZE) -> bytes:
    """A file's content, its owner and mode checked on the very file that is read."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check(file, os.fstat(descriptor), 0o600)
        return os.read(descriptor, limit + 1)
    finally:
        os.close(descriptor)


def _write(file: Path, content: bytes) -> None:
    """Makes a file whole or not at all, and durable. Never replaces one: that would lose a key."""
    draft = file.with_name(file.name + ".new")
    with suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if file.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))
    draft.rename(file)
    _sync_folder(file.parent)


def _destroy(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(descriptor, _ZEROS)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    file.unlink()


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise KeysRefused(f"{error.filename or path} is there already", remedy="choose a new home") from error
    except FileNotFoundError as error:
        raise KeysRefused(
            f"{error.filename or path} is missing", remedy="restore the KEK folder from its backup"
        ) from error
    except (PermissionError, NotADirectoryError) as error:
        raise KeysRefused(
            f"{error.filename or path} cannot be used: {error.strerror}",
            remedy="run as the user who owns the KEK folder",
        ) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise KeysRefused(f"{error.filename or path} is a link", remedy="put the file itself there") from error
        raise KeysUnavailable(
            f"the KEK folder {path} cannot be read or written: {error.strerror}",
            remedy="see to the disk, then try again",
        ) from error
