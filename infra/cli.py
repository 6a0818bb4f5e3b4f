"""`parloir`: the one program. Parses, asks the running `serve` or does the work itself, and prints.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing held. Errors are one line on stderr; `--debug` shows the traceback. What only
some verbs need is imported by them, so that a verb that asks the running `serve` answers at once.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import shtab
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from infra import learning_verbs, logs, nlu_verbs, workers
from infra.assistants import DECLARED, UNDERSTANDINGS
from infra.control import exit_code
from infra.parts import PARTS, parts
from infra.private_file import write
from infra.settings import Settings, load, settings_table
from projections import declaration, report
from projections.connection import actor
from projections.showing import FORMATS
from vault.client import DONE, FAILED, ask
from vault.errors import BadInput, HomeBusy, VaultError

Json = dict[str, Any]
BAR_AFTER_S = 1.0
BUSY_WAIT_S = 10.0
FILLS = frozenset({"replay"})
"""Verbs that make the home they are given, beside `serve`."""

EPILOGS = {
    "serve": "parloir serve --demo",
    "replay": "parloir replay dialogues.jsonl.gz --rate 200 --channel web",
    "access": "parloir access web:visitor-0042 --format pdf --lang fr -o report.pdf",
    "erase": 'parloir erase web:visitor-0042 --reason "request 2026-17"',
    "sql": """parloir sql "SELECT channel, count(*) FROM interaction GROUP BY channel" --format csv

What there is, with what each table and column means:
  parloir sql "SELECT table_name, comment FROM duckdb_tables() UNION ALL SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
  parloir sql "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'interaction'"
The busiest hours, and how often the bot did not understand, by intent:
  parloir sql "SELECT hour(received_at) AS hour, count(*) FROM interaction GROUP BY hour ORDER BY 2 DESC"
  parloir sql "SELECT intent, avg(fallback::INT) AS fallbacks, count(*) FROM interaction GROUP BY intent ORDER BY 2 DESC"
What people said, of those who consented to improvement; NULL for everybody else. Each access is recorded with the reason:
  parloir sql --reason "wording of greetings" "SELECT reveal(e) FROM sealed_event e WHERE event_topic = 'interaction.received.1' LIMIT 20"
reveal takes a whole row of sealed_event and gives the message, the replies a line each, or the payload's fields as JSON.
A query is one SELECT: no files, no settings. Limits: sql_rows_max, sql_timeout_ms, duckdb_memory_mb, reveal_persons_max.""",
    "snapshot": "parloir snapshot conversations.duckdb",
    "verify": "parloir verify --json",
    "rotate": "parloir rotate",
    "settle": "parloir settle",
    "rebuild": "parloir rebuild",
    "check": "parloir check townhall",
    "test": "parloir test townhall",
    "talk": "parloir talk townhall",
    "broker": "parloir broker start",
    "settings": "parloir settings",
    **nlu_verbs.EXAMPLES,
    **learning_verbs.EXAMPLES,
    "completion": "parloir completion bash > ~/.local/share/bash-completion/completions/parloir",
}


def parser() -> argparse.ArgumentParser:
    """The command line, which is also where the documentation test and shell completion read it from."""
    main = argparse.ArgumentParser(
        prog="parloir",
        description="An event-sourced conversation data vault: what do we hold on this person, and erase it.",
        epilog="Settings are read from PARLOIR_HOME/parloir.toml and PARLOIR_* variables; `parloir settings` lists them.",
    )
    main.add_argument("--home", type=Path, help="the home folder (default: PARLOIR_HOME, or the setting's default)")
    main.add_argument("--debug", action="store_true", help="show tracebacks")
    verbs = main.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str, *, json_too: bool = True) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"Example: {EPILOGS[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if json_too:
            added.add_argument("--json", action="store_true", help="print the result as JSON")
        return added

    one = verb("serve", "run everything of this home in one process until it is stopped", json_too=False)
    one.add_argument("--only", metavar="PARTS", help=f"run only these parts, comma-separated: {', '.join(PARTS)}")
    one.add_argument(
        "--worker",
        metavar="NAME",
        help="project some of the partitions, beside the home's main process and other workers (Kafka only)",
    )
    one.add_argument("--demo", action="store_true", help="fill a new home with demonstration conversations first")
    one.add_argument("--kafka", action="store_true", help="keep the logs in a development Kafka, started if needed")
    one.add_argument(
        "--new-claims",
        action="store_true",
        help="go on although the claims of message ids are lost: a repeat may be stored twice",
    )
    one.add_argument("--until-input-ends", action="store_true", help="stop when standard input ends")

    one = verb("replay", "stream recorded dialogues in as conversations")
    one.add_argument("files", nargs="+", metavar="FILE", help="JSON lines, gzip or not").complete = shtab.FILE  # type: ignore[attr-defined]
    one.add_argument(
        "--rate", type=float, metavar="N", help="at most N messages a second (default: as fast as it goes)"
    )
    one.add_argument("--channel", metavar="NAME", help="the channel they came by (default: made up, a few channels)")
    one.add_argument("--people", type=int, metavar="N", help="spread over N made-up people (default: 1000)")
    one.add_argument(
        "--messages-only",
        action="store_true",
        help="only what people said: understanding and answering are left to this home",
    )

    one = verb("access", "what do we hold on this person")
    one.add_argument("person", metavar="PERSON", help="channel:external-id, a linked e-mail address, or a pseudonym")
    one.add_argument("--reason", default="subject access request", help="why the data are opened; recorded")
    one.add_argument("--format", choices=report.FORMATS, help="what the report is (default: text)")
    one.add_argument("--lang", choices=report.LANGUAGES, default="en", help="which language it is in; JSON is in both")
    one.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it to a file of mode 0600 instead")
    one.add_argument("--request", metavar="ID", help="the person's request that it answers")
    one.add_argument("--identity", metavar="TEXT", help="how you made sure who asks; stands in the report")
    one.add_argument("--portable", action="store_true", help="only what the person provided, as JSON (Art. 20)")
    one.add_argument("--blank-others", action="store_true", help="blank what is marked as data of other people")

    one = verb("erase", "erase a person: destroy the keys, everywhere at once")
    one.add_argument("person", metavar="PERSON", help="channel:external-id, a linked e-mail address, or a pseudonym")
    one.add_argument("--reason", required=True, help="the ground, kept as evidence; name no person in it")
    one.add_argument("--yes", action="store_true", help="do not ask")

    one = verb("sql", "one SELECT over the projection, read-only")
    one.add_argument("query", metavar="QUERY", help="one SELECT, in DuckDB's SQL")
    one.add_argument("--format", choices=FORMATS, default="table", help="how to print it")
    one.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it to a file of mode 0600 instead")
    one.add_argument(
        "--reason", metavar="TEXT", help="why words are opened, naming no person; needed where the query calls reveal"
    )

    one = verb("snapshot", "copy what can be queried to a DuckDB file, or to Parquet files, for your own tools")
    one.add_argument("file", type=Path, metavar="FILE", help="the file to make, of mode 0600; or the folder")
    one.add_argument(
        "--parquet", action="store_true", help="a folder of Parquet files by partition, also of what workers share out"
    )
    one.add_argument("--with-sealed", action="store_true", help="with the sealed payloads, which nothing here opens")
    one.add_argument("--force", action="store_true", help="in place of a file that is there")

    one = verb("verify", "hold log, keys, local state and projection against each other")
    one.add_argument(
        "--pass-over", metavar="PLACE", help="decide to go on without one damaged record, LOG/PARTITION@OFFSET"
    )
    verb("rotate", "begin a new epoch: every key rewrapped, the old key encryption keys destroyed")
    verb("settle", "write the projection's file anew: recent rows sorted in, nothing left of what was removed")
    verb("rebuild", "make the projection anew from the logs")

    nlu_verbs.add_verbs(verb)
    learning_verbs.add_verbs(verb)

    one = verb("check", "say what is wrong in an assistant's files: file, line, what, how to mend it")
    _assistant(one)
    one = verb("test", "hold an assistant's conversation tests and show what is not as expected")
    _assistant(one)
    one.add_argument(
        "--understanding",
        choices=UNDERSTANDINGS,
        default=DECLARED,
        help="by what the tests say is meant (default), the nearest example, or a trained model",
    )
    one.add_argument("--only", metavar="TEXT", help="only those with this text in their name")
    _model(one)
    one = verb("talk", "chat with an assistant on the terminal; its connectors are called, nothing is kept")
    _assistant(one)
    one.add_argument(
        "--intent", action="store_true", help="type intents and entities: book_appointment document=passport"
    )
    _model(one)
    one.add_argument(
        "--connect", action="append", default=[], metavar="NAME=ORIGIN", help="call a connector at another origin"
    )

    one = verb("broker", "a development Kafka from its Maven artifacts")
    one.add_argument("action", choices=("start", "stop", "status"), help="what to do")
    one.add_argument("--folder", type=Path, help="where it keeps its data (default: HOME/broker)")
    one.add_argument("--port", type=int, help="the port on loopback (default: a free one, kept)")

    verb("settings", "list the settings, their values' units and defaults")
    one = verb("completion", "print a completion script for your shell", json_too=False)
    one.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="which shell")
    return main


def _assistant(verb: argparse.ArgumentParser) -> None:
    argument = verb.add_argument("assistant", metavar="ASSISTANT", help="its folder, or the name of a shipped one")
    argument.complete = shtab.DIRECTORY  # type: ignore[attr-defined]


def _model(verb: argparse.ArgumentParser) -> None:
    argument = verb.add_argument(
        "--model", type=Path, metavar="FILE", help="the model that understands (default: the one beside its files)"
    )
    argument.complete = shtab.FILE  # type: ignore[attr-defined]


class Bars:
    """Progress on stderr: nothing for the first second, then a bar."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet or not sys.stderr.isatty()
        self._begun = time.monotonic()
        self._progress: Progress | None = None
        self._tasks: dict[str, Any] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._quiet or (self._progress is None and time.monotonic() - self._begun < BAR_AFTER_S):
            return
        if self._progress is None:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total or None)
        self._progress.update(self._tasks[what], completed=done, total=total or None)

    def close(self) -> None:
        if self._progress:
            self._progress.stop()


def main(arguments: list[str] | None = None) -> int:
    """Runs one verb and returns its exit code."""
    given = parser().parse_args(arguments)
    try:
        return _run(given)
    except KeyboardInterrupt:
        print("parloir: interrupted; what was done is kept, run it again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except VaultError as error:
        if given.debug:
            raise
        print(f"parloir: {error}", file=sys.stderr)
        return exit_code(error)
    except Exception as error:
        if given.debug:
            raise
        # The text of an unforeseen error may quote what a person wrote.
        print(
            f"parloir: failed unexpectedly ({type(error).__name__}); run again with --debug to see where",
            file=sys.stderr,
        )
        return FAILED


def _run(given: argparse.Namespace) -> int:
    if given.verb == "completion":
        print(shtab.complete(parser(), shell=given.shell))
        return DONE
    if given.verb in ("check", "test", "talk"):
        return _about_assistant(given)
    if given.verb in nlu_verbs.EXAMPLES and not learning_verbs.wants(given):
        bars = Bars(quiet=given.json)
        try:
            return nlu_verbs.run(given, bars)
        finally:
            bars.close()
    settings = load(os.environ, given.home)
    if given.verb == "settings":
        print(json.dumps(settings.shown(), indent=2) if given.json else settings_table())
        return DONE
    if given.verb == "broker":
        from infra import broker_verbs

        return broker_verbs.run(given.action, settings, given.folder, given.port, as_json=given.json)
    if given.verb == "serve":
        return _serve(settings, given)
    if learning_verbs.wants(given):
        return learning_verbs.run(given, lambda verb, arguments: do(settings, verb, arguments, quiet=given.json))
    handler: Callable[[Settings, argparse.Namespace], int] = {
        "access": _access,
        "erase": _erase,
        "sql": _sql,
        "snapshot": _snapshot,
        "verify": _verify,
    }.get(given.verb, _plain)
    return handler(settings, given)


def do(settings: Settings, verb: str, arguments: Json, *, quiet: bool = False) -> Json:
    """Asks the running `serve` of the home, or opens the home and does it here."""
    if verb not in FILLS and not (settings.home / "home.json").exists():
        # Otherwise a mistyped home would be made, and say of everybody that nothing is held.
        raise BadInput(
            f"there is no home in {settings.home}",
            remedy="give another --home; `parloir serve` or `parloir replay` makes one",
        )
    bars = Bars(quiet=quiet)
    until = time.monotonic() + BUSY_WAIT_S
    try:
        while True:
            answered = ask(settings.home, verb, arguments, bars)
            if answered is not None:
                return answered
            from infra.house import House
            from infra.verbs import VERBS

            try:
                with House(settings) as house:
                    return VERBS[verb](house, arguments, bars)
            except HomeBusy:
                # A serve that is just starting, or stopping, has the home and not its socket.
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
    finally:
        bars.close()


def _actor() -> str:
    """Who is at the command line, for the record of accesses: the account's name."""
    return f"command line, account {os.getuid()}"


def _access(settings: Settings, given: argparse.Namespace) -> int:
    form = given.format or ("json" if given.json or given.portable else "text")
    if form != "json" and (given.json or given.portable):
        raise BadInput(
            f"--{'portable' if given.portable else 'json'} is JSON and nothing else", remedy="leave out --format"
        )
    if form == "pdf" and given.output is None and sys.stdout.isatty():
        raise BadInput("a PDF is not for a terminal", remedy="give a file to write to (-o FILE)")
    arguments = {
        "person": given.person,
        "reason": given.reason,
        "actor": _actor(),
        "format": form,
        "language": given.lang,
        "request": given.request,
        "identity": given.identity,
        "portable": given.portable,
        "blank_others": given.blank_others,
    }
    found = do(settings, "access", arguments, quiet=given.json)
    body = base64.b64decode(found["body"]) if form == "pdf" else found["body"].encode()
    if not found["declared"]:
        print(
            f"parloir: there is no {declaration.FILE} in {settings.home}: the report says that nothing is declared",
            file=sys.stderr,
        )
    if not found["complete"]:
        print("parloir: the report is not complete, and says what is missing; run `parloir verify`", file=sys.stderr)
    if given.output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        return DONE
    write(given.output, body)
    print(f"written to {given.output}", file=sys.stderr)
    return DONE


def _erase(settings: Settings, given: argparse.Namespace) -> int:
    seen = do(settings, "erase-preview", {"person": given.person}, quiet=given.json)
    if not seen["erased"] and not given.yes:
        print(
            f"This erases {seen['subject']}: {seen['events']} events become unreadable everywhere, {seen['keys']} keys and "
            f"{seen['identities']} identities are destroyed. It cannot be undone.",
            file=sys.stderr,
        )
        if not sys.stdin.isatty() and sys.stdin.closed:
            return FAILED
        print("Type the word erase to go on: ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip() != "erase":
            print("parloir: not erased", file=sys.stderr)
            return FAILED
    done = do(
        settings, "erase", {"person": seen["subject"], "reason": given.reason, "actor": _actor()}, quiet=given.json
    )
    if given.json:
        print(json.dumps(done))
        return DONE
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(done["erased_at_us"] / 1e6))
    if done["already"]:
        print(f"already erased at {at}: {done['subject']}")
        return DONE
    print(f"erased {done['subject']} at {at}")
    for key_id in done["key_ids"]:
        print(f"  destroyed key {key_id}")
    for pending in done["pending"]:
        print(f"  pending: {pending}")
    return DONE


def _sql(settings: Settings, given: argparse.Namespace) -> int:
    form = "json" if given.json else given.format
    output = str(given.output.absolute()) if given.output else None
    arguments = {
        "query": given.query,
        "format": form,
        "output": output,
        "reason": given.reason,
        "actor": actor(),
    }
    done = do(settings, "sql", arguments, quiet=given.json)
    if "body" in done:
        sys.stdout.flush()
        sys.stdout.buffer.write(done["body"].encode())
    if done["truncated"]:
        print(f"parloir: only the first {done['rows']:,} rows (sql_rows_max)", file=sys.stderr)
    if output:
        print(f"{done['rows']:,} rows written to {output}", file=sys.stderr)
    return DONE


def _snapshot(settings: Settings, given: argparse.Namespace) -> int:
    if given.parquet and given.force:
        raise BadInput("a folder is not replaced", remedy="leave out --force, and give a new name")
    arguments = {
        "file": str(given.file.absolute()),
        "with_sealed": given.with_sealed,
        "force": given.force,
        "parquet": given.parquet,
    }
    done = do(settings, "snapshot", arguments, quiet=given.json)
    if given.json:
        print(json.dumps(done))
        return DONE
    size = f", {done['bytes'] / 1e6:,.1f} MB" if "bytes" in done else ""
    print(f"{done['output']}: {sum(done['rows'].values()):,} rows{size}")
    for table, rows in done["rows"].items():
        print(f"  {table} {rows:,}")
    print("as of " + ", ".join(f"{place}@{offset}" for place, offset in done["as_of"].items()))
    return DONE


def _verify(settings: Settings, given: argparse.Namespace) -> int:
    done = do(settings, "verify", {"pass_over": given.pass_over}, quiet=given.json)
    if given.json:
        print(json.dumps(done, indent=2))
    elif "passed_over" in done:
        print(f"passing over {done['passed_over']}: {done['note']}")
    else:
        for place, counted in _flat(done["counts"]):
            print(f"{place}: " + ", ".join(f"{name} {value}" for name, value in counted.items()))
        for problem in done["problems"]:
            print(f"PROBLEM {problem}")
        print("everything agrees" if done["ok"] else f"{len(done['problems'])} problems")
    return DONE if done["ok"] else FAILED


def _flat(counts: Json) -> Iterator[tuple[str, Json]]:
    """What was counted, by place: `projection` holds places of its own."""
    for place, counted in counts.items():
        yield from (
            ((f"{place} {within}", deeper) for within, deeper in counted.items())
            if all(isinstance(value, dict) for value in counted.values())
            else [(place, counted)]
        )


def _plain(settings: Settings, given: argparse.Namespace) -> int:
    """Verbs whose result is a few counts: replay, rotate, settle, rebuild."""
    arguments = {
        name: value
        for name, value in vars(given).items()
        if name not in ("verb", "json", "home", "debug") and value is not None
    }
    if "files" in arguments:
        arguments["files"] = [str(Path(name).absolute()) for name in arguments["files"]]
    done = do(settings, given.verb, arguments, quiet=given.json)
    print(json.dumps(done) if given.json else ", ".join(f"{name} {value}" for name, value in done.items()))
    return DONE


def _about_assistant(given: argparse.Namespace) -> int:
    from infra import bot_verbs

    if given.verb == "check":
        return bot_verbs.check(given.assistant, as_json=given.json)
    if given.verb == "test":
        return bot_verbs.test(given.assistant, given.understanding, given.only, model=given.model, as_json=given.json)
    return bot_verbs.talk(
        given.assistant, by_intent=given.intent, model=given.model, origins=given.connect, as_json=given.json
    )


def _serve(settings: Settings, given: argparse.Namespace) -> int:
    from infra import broker_verbs, serve
    from infra.demo_home import demo_town, load_demo, what_next, with_assistant
    from infra.house import House

    if given.demo:
        settings = with_assistant(settings)
    wanted = parts(given.only, worker=given.worker, assistant=settings.assistant, model=settings.model)
    if given.worker and (given.demo or given.kafka or given.new_claims):
        raise BadInput(
            "a worker only projects", remedy="give --demo, --kafka and --new-claims to the home's main process"
        )
    logs.to_file(settings, workers.folder(settings.home, given.worker) if given.worker else None)
    say = Console(stderr=True)
    with serve.sigterm_interrupts(), ExitStack() as closing:
        if given.kafka:
            settings = closing.enter_context(broker_verbs.with_kafka(settings))
        bars = Bars(quiet=False)
        closing.callback(bars.close)
        house = closing.enter_context(
            House(settings, lambda what: bars(what, 0, 0), new_claims=given.new_claims, worker=given.worker)
        )
        serve.tune_garbage_collection()
        if given.demo:
            load_demo(house, bars)
            if "caller" in wanted and (town := demo_town(settings)):
                town.start()
                closing.callback(town.close)
        serving = serve.Serving(house, wanted, bars, demo=given.demo)
        closing.callback(serving.close)
        bars.close()
        logging.getLogger("parloir").info("serving")
        if given.worker:
            print(f"Parloir projects for {settings.home}, as worker {given.worker}. Ctrl-C stops it.", flush=True)
        else:
            print(what_next(settings, demo=given.demo, chat=serving.gateway), flush=True)
        name = serve.wait_for_signal(or_end_of_input=given.until_input_ends)
        say.print(f"parloir: stopping ({name})")
    say.print("parloir: stopped")
    return DONE


if __name__ == "__main__":
    sys.exit(main() or DONE)
