"""Everything the vault raises, in one tree. Messages carry ids and remedies, never personal data or key material.

VaultError
├── BadInput              what was given cannot be used: says what, where and what to do
│   └── PersonUnknown     nobody is known under that name
├── StartRefused          this home, log or key folder must not be used as it is
│   ├── HomeBusy          another process owns the home
│   ├── HomeNewer         written by a newer program
│   ├── KeysRefused       KEK folder missing, too open, or of another vault
│   └── LogMismatch       the log is not the one this vault was made with
├── Unavailable           try again later: broker away, store locked, disk full
│   ├── LogUnavailable    says what is known to be stored, what is known not to be, and what is unknown;
│   │                     the register's recorders raise it as `RegisterUnavailable` (vault/recorder.py)
│   └── KeysUnavailable
├── Tampered              bytes are not what was written: names the place
│   ├── EventTampered     a sealed event does not open as written
│   ├── KeyTampered       a wrapped key does not open, or is not the key its id commits to
│   └── RecordForeign     a record without this log's MAC
├── PartitionStopped      a reader met a record it must not pass
├── AppendRefused         the log's order decided against a commit
├── SubjectErased         a key was asked for a person who is fenced
├── KeyWithheld           this process has no grant that opens the key
└── LimitExceeded         a bounded thing is full
"""

from __future__ import annotations


class VaultError(Exception):
    """Base of all: `str(error)` is one line for a person, `remedy` says what to do next (may be empty)."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}; {self.remedy}" if self.remedy else message


class BadInput(VaultError):
    """What was given cannot be used."""


class PersonUnknown(BadInput):
    """Nobody is known under that name."""


class StartRefused(VaultError):
    """The home, the log or the key folder must not be used as it is."""


class HomeBusy(StartRefused):
    """Another process owns the home."""


class HomeNewer(StartRefused):
    """The home was written by a newer program."""


class KeysRefused(StartRefused):
    """The KEK folder is missing, too open, or of another vault."""


class LogMismatch(StartRefused):
    """The log is not the one this vault was made with."""


class Unavailable(VaultError):
    """Something needed is away; trying again later may work."""


class LogUnavailable(Unavailable):
    """The log did not answer within its limit. `stored`, `not_stored` and `unknown` count what was being appended."""

    def __init__(
        self, message: str, *, stored: int = 0, not_stored: int = 0, unknown: int = 0, remedy: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.stored = stored
        self.not_stored = not_stored
        self.unknown = unknown


class KeysUnavailable(Unavailable):
    """The key store is locked, full or away."""


class Tampered(VaultError):
    """Bytes are not what was written."""


class EventTampered(Tampered):
    """A sealed event does not open as it was written."""


class KeyTampered(Tampered):
    """A wrapped key does not open, or is not the key that its id commits to."""


class RecordForeign(Tampered):
    """A record that does not carry this log's MAC, or is not a commit."""


class PartitionStopped(VaultError):
    """A reader met a record that it must not pass. `partition` and `offset` name it."""

    def __init__(self, message: str, *, partition: int, offset: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.partition = partition
        self.offset = offset


class AppendRefused(VaultError):
    """The log's order decided against a commit."""


class SubjectErased(VaultError):
    """A key was asked for a person who is fenced."""


class KeyWithheld(VaultError):
    """This process holds no grant that opens the key."""


class LimitExceeded(VaultError):
    """A bounded thing is full."""
