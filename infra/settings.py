"""Every setting there is, in one table: the fields of `Settings`, each with its unit, its bounds and what it is for.

Values come from `HOME/parloir.toml` and, above it, from `PARLOIR_*` variables. A name that is not in the table, a value of another
type or one out of bounds is refused before anything is opened. No setting is a secret: a password is named by its file, and one
that is written into a URL is refused, so the file of settings may be shown to anybody.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vault.errors import BadInput

FILE = "parloir.toml"
PREFIX = "PARLOIR_"
HOME = "PARLOIR_HOME"
NOT_SETTINGS = frozenset({HOME, "PARLOIR_DATA", "PARLOIR_CACHE"})
"""Variables with the prefix that say where things are, and are no settings of a home."""

_FAR = 2**53


def _of(
    default: Any, unit: str, text: str, *, low: int = 0, high: int = _FAR, choices: tuple[str, ...] = (), form: str = ""
) -> Any:
    """One row of the table. `low` and `high` bound numbers; `choices` or `form` (a regular expression) bound text."""
    return field(
        default=default,
        metadata={"unit": unit, "help": text, "low": low, "high": high, "choices": choices, "form": form},
    )


_LOG_FORM = r"sqlite|kafka://[^/,@]+:\d+(,[^/,@]+:\d+)*(/[A-Za-z0-9._-]{1,200})?"


@dataclass(frozen=True)
class Settings:
    """What one home is run with. Made by `load`, or directly by tests."""

    home: Path = _of(  # noqa: RUF009
        Path("~/.local/share/parloir"), "folder", "where everything is kept; set by --home or PARLOIR_HOME only"
    )

    # The two logs
    log: str = _of("sqlite", "sqlite or kafka://host:port[,host:port]/prefix", "where the logs are", form=_LOG_FORM)
    log_partitions: int = _of(4, "partitions", "of each of the two logs; fixed when a home is made", low=1, high=65_535)
    log_horizon_records: int = _of(
        65_536,
        "records",
        "how far back a repeat is looked for when the log decides; the same for all that read it",
        low=2,
    )
    append_timeout_ms: int = _of(
        30_000,
        "milliseconds",
        "how long a writer waits for the log, and a reader for its end",
        low=1_000,
        high=3_600_000,
    )
    batch_records: int = _of(1_000, "records", "most messages taken in as one batch by a replay", low=1, high=100_000)
    message_bytes_max: int = _of(65_536, "bytes", "longest message that is taken in", low=1, high=524_288)
    conversations_retention_days: int = _of(
        365, "days", "how long Kafka keeps conversations: the longest purpose that is declared", low=1, high=36_500
    )

    # Kafka
    kafka_replication_factor: int = _of(1, "copies", "of each record, in topics that are made", low=1, high=1_000)
    kafka_min_insync_replicas: int = _of(1, "copies", "that must be written before a record counts", low=1, high=1_000)
    kafka_security_protocol: str = _of(
        "PLAINTEXT",
        "protocol",
        "how to speak to the brokers",
        choices=("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    )
    kafka_ssl_cafile: str = _of("", "file", "certificates that the brokers' certificate must come from")
    kafka_ssl_certfile: str = _of("", "file", "our certificate, where the brokers ask for one")
    kafka_ssl_keyfile: str = _of("", "file", "the private key of our certificate")
    kafka_sasl_mechanism: str = _of(
        "", "mechanism", "how to log in", choices=("", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    )
    kafka_sasl_username: str = _of("", "name", "whom to log in as")
    kafka_sasl_password_file: str = _of("", "file", "holds the password, and is readable by nobody else")

    # Keys
    keys: str = _of(
        "sqlite", "sqlite or postgresql://host/database", "where the keys are", form=r"sqlite|postgresql://.+"
    )
    key_store_timeout_ms: int = _of(
        5_000, "milliseconds", "how long to wait while somebody else writes to the key store", low=1, high=600_000
    )
    dek_cache_entries: int = _of(50_000, "keys", "most opened keys held in memory", low=1, high=10_000_000)
    dek_lease_seconds: int = _of(
        300, "seconds", "longest that an opened key is used without asking the key store again", low=1, high=86_400
    )
    claim_retention_days: int = _of(
        30, "days", "how long ids of messages are remembered, to know a repeated one", low=8, high=3_650
    )

    registrar_retry_ms: int = _of(
        5_000,
        "milliseconds",
        "how often what the register decided elsewhere is applied, and what could not be done is tried again",
        low=100,
        high=3_600_000,
    )

    # The assistant and the gateway
    assistant: str = _of("", "folder, or name of a shipped one", "the assistant that answers; none for a vault alone")
    bot_people_max: int = _of(
        500_000, "people", "in each partition, most whose conversation is known where it stands", low=1, high=10_000_000
    )
    bot_states_mb: int = _of(32, "MB", "of states of conversations that are held in memory, most", low=4, high=65_536)
    bot_read_back_records: int = _of(
        2_000_000, "records", "most that a bot which takes a partition over reads back for where people were", low=1_000
    )
    caller_origins: str = _of(
        "", "CONNECTOR=ORIGIN, separated by spaces", "call connectors there instead of where the assistant's file says"
    )
    caller_calls_max: int = _of(10_000, "calls", "in each partition, most under way at once", low=1, high=1_000_000)
    caller_open_max: int = _of(
        200_000, "effects", "in each partition, most calls and timers that wait at once", low=1, high=10_000_000
    )
    caller_retry_ms: int = _of(
        1_000, "milliseconds", "pause before what could not be recorded is tried again", low=10, high=600_000
    )
    gateway_host: str = _of(
        "127.0.0.1", "address", "where the gateway listens; put TLS in front of any other than loopback"
    )
    gateway_port: int = _of(8420, "port", "where the gateway listens; 0 for a free one", high=65_535)
    gateway_origin: str = _of(
        "",
        "origins, separated by spaces",
        "where browsers find the chat, the first is told; none for the address it listens on",
    )
    gateway_sites: str = _of("", "origins, separated by spaces", "sites whose pages may embed the chat")
    gateway_webhook: str = _of(
        "",
        "URL",
        "where replies of the REST channel are sent, signed; none to give them in the answer",
        form=r"(https?://[^\s?#]+)?",
    )
    gateway_webhook_networks: str = _of(
        "", "networks, separated by spaces", "where the webhook's addresses must lie, if they are not public"
    )
    gateway_burst_messages: int = _of(20, "messages", "most that one sender writes at once", low=1, high=100_000)
    gateway_minute_messages: int = _of(
        30, "messages", "most that one sender writes a minute after that", low=1, high=1_000_000
    )
    gateway_waiting_messages: int = _of(
        5_000, "messages", "most that wait to be taken in; more are told to come again", low=1, high=1_000_000
    )
    gateway_connections: int = _of(10_000, "connections", "most that are open at once", low=1, high=1_000_000)
    gateway_body_bytes_max: int = _of(
        131_072, "bytes", "longest body of a request, and longest frame", low=1_024, high=16_777_216
    )
    gateway_body_ms: int = _of(
        10_000,
        "milliseconds",
        "longest that the headers or the body of a request take to arrive",
        low=100,
        high=600_000,
    )
    gateway_reply_ms: int = _of(
        10_000, "milliseconds", "longest that a request over REST waits for its replies", low=100, high=600_000
    )
    gateway_replay_messages: int = _of(
        200, "messages", "most that are shown again to who resumes a conversation", low=1, high=10_000
    )
    gateway_replay_records: int = _of(
        65_536, "records", "most that are read back from a partition for who resumes a conversation", low=1
    )
    gateway_token_hours: int = _of(24, "hours", "how long a conversation on the web can be resumed", low=1, high=8_760)

    # Understanding
    model: str = _of(
        "", "file", "the model of understanding; by default HOME/model.parloir, trained at the first start"
    )
    nlu_batch_records: int = _of(500, "records", "most messages understood as one batch", low=1, high=10_000)
    nlu_people_max: int = _of(
        50_000, "people", "most whose language and last intent are remembered", low=1, high=10_000_000
    )
    nlu_read_back_records: int = _of(
        5_000, "records", "how far a worker that begins reads back for what conversations were about", high=10_000_000
    )

    # Projection and analysts
    projection_batch_events: int = _of(
        30_000, "events", "most events, about, that one transaction of the projection stores", low=1, high=1_000_000
    )
    projection_queue_batches: int = _of(
        4, "batches", "most batches that wait to be stored by the projection", low=1, high=1_000
    )
    worker_timeout_ms: int = _of(
        10_000,
        "milliseconds",
        "after which silence of a worker its partitions go to the others",
        low=6_000,
        high=300_000,
    )
    duckdb_memory_mb: int = _of(192, "MB", "most memory of the projection", low=64, high=1_048_576)
    duckdb_threads: int = _of(2, "threads", "of the projection", low=1, high=256)
    settle_recent_rows: int = _of(
        500_000, "events", "so many newer ones, and the projection's file is written anew, sorted by person", low=1_000
    )
    settle_removed_rows: int = _of(
        100_000, "events", "so many removed since the file was written, and it is written anew", low=1
    )
    settle_removed_days: int = _of(
        1, "days", "longest that bytes of removed events stay in the projection's file", low=1, high=365
    )
    settle_max_days: int = _of(
        31, "days", "longest that events of chapters that are over stay in the projection's file", low=1, high=3_650
    )
    settle_pause_seconds: int = _of(
        3_600, "seconds", "the projection's file is not written anew by itself sooner than that", low=0, high=31_536_000
    )
    statistics_persons_min: int = _of(
        5, "persons", "fewest that a group of the daily statistics is shown with", low=1, high=1_000_000
    )
    sql_rows_max: int = _of(10_000, "rows", "most rows that one query returns", low=1, high=10_000_000)
    sql_timeout_ms: int = _of(30_000, "milliseconds", "longest that one query runs", low=1, high=3_600_000)
    reveal_persons_max: int = _of(
        100_000, "persons", "most whose words one query opens; an access is recorded for each", low=1, high=10_000_000
    )

    # Learning from people
    training_persons_min: int = _of(
        5,
        "persons",
        "fewest who must have said something that no author wrote, to be kept by a model",
        low=2,
        high=100_000,
    )
    training_messages_max: int = _of(
        100_000,
        "messages",
        "most of the log that are looked at for review and training, the latest",
        low=1,
        high=10_000_000,
    )
    stale_model_days: int = _of(
        30,
        "days",
        "longest that a model answers after somebody it learnt from withdrew, restricted or was erased",
        high=365,
    )

    # What the program says about itself
    journal_bytes_max: int = _of(
        5_000_000, "bytes", "size of HOME/logs/parloir.log at which a new one is begun", low=10_000, high=1_000_000_000
    )
    journal_files_max: int = _of(4, "files", "how many older ones are kept", low=1, high=100)

    def shown(self) -> dict[str, str | int]:
        """Name to value, as JSON takes it."""
        return {name: value if isinstance(value, int) else str(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Row:
    """One row of the table, for whoever documents or checks it."""

    name: str
    kind: type
    default: str | int | Path
    unit: str
    help: str
    low: int
    high: int
    choices: tuple[str, ...]
    form: str

    def checked(self, value: object, place: str) -> Any:
        """The value, if it may be this setting's. Raises `BadInput` that names the place; it never quotes the value."""
        if self.kind is int:
            # bool is an int to Python, not to whoever wrote `true`.
            if not isinstance(value, int) or isinstance(value, bool):
                raise BadInput(f"{place}: {self.name} is a whole number of {self.unit}")
            if not self.low <= value <= self.high:
                raise BadInput(f"{place}: {self.name} is from {self.low:,} to {self.high:,} {self.unit}")
            return value
        if not isinstance(value, str):
            raise BadInput(f"{place}: {self.name} is text", remedy="write it in quotation marks")
        if self.choices and value not in self.choices:
            raise BadInput(f"{place}: {self.name} is one of {', '.join(repr(choice) for choice in self.choices)}")
        if "://" in value and "@" in urlsplit(value).netloc:
            # Risk: a password in a URL would stand in the settings file, in `parloir settings` and in home.json.
            raise BadInput(
                f"{place}: {self.name} names a user or a password", remedy="give a password by its file only"
            )
        if self.form and not re.fullmatch(self.form, value):
            raise BadInput(f"{place}: {self.name} is {self.unit}")
        return value


TABLE: Mapping[str, Row] = {
    each.name: Row(each.name, int if isinstance(each.default, int) else str, each.default, **each.metadata)  # type: ignore[arg-type]
    for each in fields(Settings)
}


def load(environ: Mapping[str, str], home: Path | None = None) -> Settings:
    """The settings of a home: `home`, or PARLOIR_HOME, or a folder of the user's data. Raises `BadInput`."""
    folder = Path(home or environ.get(HOME) or default_home(environ)).expanduser().absolute()
    values = dict(_from_file(folder / FILE))
    values.update(_from_environment(environ))
    _agree(values)
    return Settings(home=folder, **values)


def default_home(environ: Mapping[str, str]) -> Path:
    """Where a home is that nobody chose."""
    data = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home(), ".local", "share")
    return Path(data, "parloir")


def _from_file(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return
    except UnicodeDecodeError:
        raise BadInput(f"{file} is not UTF-8 text") from None
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error
    try:
        held = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{file} is not TOML: {error}") from None
    for name, value in held.items():
        place = f"{file}, line {_line(text, name)}"
        if name == "home":
            raise BadInput(f"{place}: home is where this file is", remedy="set it by --home or PARLOIR_HOME")
        yield name, _row(name, place).checked(value, place)


def _line(text: str, name: str) -> int:
    wanted = re.compile(rf"\s*[\[\"']*{re.escape(name)}\b")
    return next((number for number, line in enumerate(text.splitlines(), 1) if wanted.match(line)), 1)


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        row = _row(variable.removeprefix(PREFIX).lower(), variable)
        value: object = int(text) if row.kind is int and re.fullmatch(r"-?\d{1,18}", text) else text
        yield row.name, row.checked(value, variable)


def _row(name: str, place: str) -> Row:
    if name in TABLE:
        return TABLE[name]
    near = difflib.get_close_matches(name, TABLE, 1, 0.5)
    remedy = f"did you mean {near[0]}? " if near else ""
    raise BadInput(f"{place}: there is no setting {name}", remedy=f"{remedy}`parloir settings` lists them")


def _agree(values: Mapping[str, Any]) -> None:
    """Settings that only make sense together."""
    given = {**{row.name: row.default for row in TABLE.values()}, **values}
    copies, needed = given["kafka_replication_factor"], given["kafka_min_insync_replicas"]
    if needed > copies:
        raise BadInput(
            f"kafka_min_insync_replicas ({needed}) is more than kafka_replication_factor ({copies})",
            remedy="no record could ever be written; lower the first or raise the second",
        )
    if given["kafka_security_protocol"].startswith("SASL"):
        for name in ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password_file"):
            if not given[name]:
                raise BadInput(f"kafka_security_protocol={given['kafka_security_protocol']} needs {name} too")


def settings_table() -> str:
    """The table as text, for `parloir settings`."""
    lines = [
        f"Settings are read from HOME/{FILE} and, above it, from variables: log_partitions is PARLOIR_LOG_PARTITIONS.",
        "",
    ]
    wide = max(map(len, TABLE))
    for row in TABLE.values():
        default = f"{row.default:,}" if isinstance(row.default, int) else str(row.default)
        unit = row.unit + (": " + ", ".join(filter(None, row.choices)) if row.choices else "")
        lines.append(f"{row.name:{wide}}  {row.help}")
        lines.append(f"{'':{wide}}  {unit}; default {default or 'none'}")
    return "\n".join(lines)
