"""The pages that answer what GDPR Art. 15 asks, in plain words: who asked, who is responsible, why, how long, to whom, from where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from projections.report.blocks import Section
from projections.report.words import Words

Json = Mapping[str, Any]

RIGHTS = ("access", "rectification", "erasure", "restriction", "portability", "objection", "automated", "consent")


def sections(content: Json, words: Words) -> Iterator[Section]:
    """The answers, in order."""
    for page in (
        _asked,
        _parties,
        _purposes,
        _categories,
        _recipients,
        _transfers,
        _sources,
        _decisions,
        _rights,
    ):
        yield page(content, words)


def recipient_name(recipient: Json, words: Words) -> str:
    """What a recipient is called, and that it is undeclared where it is."""
    name = str(recipient["name"])
    return name if recipient["declared"] else f"{name} ({words('document', 'undeclared')})"


def decided(content: Json, words: Words) -> str:
    """The declared purposes for which a machine alone decides."""
    return words.joined([each["name"][words.language] for each in content["purposes"] if each["automated_decisions"]])


# Who asked, who is responsible


def _asked(content: Json, words: Words) -> Section:
    section = Section("asked", words("asked", "title"))
    asked = content["asked"]
    rows = [
        (words("summary", "asked_by"), asked["by"] or words("asked", "by_unstated")),
        (words("asked", "reason"), asked["reason"] or words("asked", "by_unstated")),
    ]
    request = asked["request"]
    if request is None or asked["identity"]:
        rows.append((words("asked", "identity"), asked["identity"] or words("asked", "identity_unstated")))
    if request:
        rows.append((words("asked", "request"), request["id"]))
        rows.append((words("asked", "received"), words.moment(request["received_at"])))
        if "kind" in request:
            rows.append((words("asked", "kind"), request["kind"]))
            rows.append((words("asked", "assurance"), request["assurance"]))
        if "due_at" in request:
            rows.append((words("asked", "due"), words.moment(request["due_at"])))
        checks = [
            words("asked", "checked", when=words.moment(each["at"]), method=each["method"], outcome=each["outcome"])
            for each in request["identity"]
        ]
        rows += [(words("asked", "identity"), check) for check in checks or [words("asked", "unchecked")]]
    section.facts(rows)
    return section


def _parties(content: Json, words: Words) -> Section:
    section = Section("parties", words("parties", "title"))
    parties = content["declaration"]
    if parties is None:
        section.paragraph(words("parties", "undeclared"))
        return section
    controller, officer, authority = (parties[name] for name in ("controller", "data_protection_officer", "authority"))
    section.facts(
        [
            (words("parties", "name"), controller["name"]),
            (words("parties", "address"), controller["address"]),
            (words("parties", "contact"), controller["contact"]),
            (words("parties", "officer"), officer["contact"] if officer else words("parties", "officer_none")),
            (words("parties", "authority"), f"{authority['name']}, {authority['contact']}"),
        ]
    )
    return section


# What for, what, to whom


def _purposes(content: Json, words: Words) -> Section:
    section = Section("purposes", words("purposes", "title"))
    names = {each["id"]: each["name"] for each in content["categories"]}
    for purpose in content["purposes"]:
        caption = words.named(purpose["name"], purpose["id"])
        section.facts(_purpose(purpose, names, words), caption)
    if not content["purposes"]:
        section.paragraph(words("purposes", "none"))
    return section


def _purpose(purpose: Json, categories: Json, words: Words) -> Iterator[tuple[str, str]]:
    def row(name: str, value: str) -> tuple[str, str]:
        return words("purposes", name), value

    if not purpose["declared"]:
        yield row("state", words("purposes", "undeclared"))
    else:
        yield row("basis", words("basis", purpose["legal_basis"]))
        if purpose["special_basis"]:
            yield row("special_basis", words("special_basis", purpose["special_basis"]))
        yield row("retention", words("purposes", "days", days=purpose["retention_days"]))
        yield row("categories", words.joined([words.named(categories[name], name) for name in purpose["categories"]]))
        ends = words("purposes", "ends_unknown" if purpose["events"] is None else "ends_nothing")
        if purpose["newest_ends_at"]:
            oldest, newest = (words.day(purpose[name]) for name in ("oldest_ends_at", "newest_ends_at"))
            ends = words("purposes", "ends_between", oldest=oldest, newest=newest)
        yield row("ends", ends)
    if purpose["events"] is not None:
        yield row("records", str(purpose["events"]))
    if purpose["consent"]:
        yield row("consent", words("purposes", purpose["consent"], when=words.moment(purpose["consent_at"])))
    if purpose["declared"]:
        yield row("profiling", words.yes_no(purpose["profiling"]))
        yield row("automated", words.yes_no(purpose["automated_decisions"]))
        if purpose["logic"]:
            yield row("logic", purpose["logic"][words.language])


def _categories(content: Json, words: Words) -> Section:
    section = Section("categories", words("categories", "title"))
    purposes = {each["id"]: each["name"] for each in content["purposes"]}
    if not content["categories"]:
        section.paragraph(words("categories", "none"))
        return section
    section.table(
        words("categories", "caption"),
        [words("categories", name) for name in ("name", "special", "purposes", "found")],
        [
            [
                words.named(each["name"], each["id"]),
                words("document", "undeclared") if each["special"] is None else words.yes_no(each["special"]),
                words.joined([words.named(purposes[name], name) for name in each["purposes"]]),
                str(each["found"]),
            ]
            for each in content["categories"]
        ],
    )
    return section


def _recipients(content: Json, words: Words) -> Section:
    section = Section("recipients", words("recipients", "title"))
    purposes = {each["id"]: each["name"] for each in content["purposes"]}
    for recipient in content["recipients"]:
        section.facts(_recipient(recipient, purposes, words), recipient_name(recipient, words))
        if recipient["received"]:
            section.table(
                words("recipients", "caption", name=recipient["name"]),
                [words("recipients", name) for name in ("at", "through", "operation", "fields", "outcome")],
                [
                    [
                        words.moment(sent["at"]),
                        sent["connector"],
                        sent["operation"],
                        _fields(sent, words),
                        sent["outcome"] or words("recipients", "outcome_unknown"),
                    ]
                    for sent in recipient["received"]
                ],
            )
    if not content["recipients"]:
        section.paragraph(words("recipients", "none"))
    return section


def _recipient(recipient: Json, purposes: Json, words: Words) -> Iterator[tuple[str, str]]:
    def row(name: str, value: str) -> tuple[str, str]:
        return words("recipients", name), value

    if not recipient["declared"]:
        yield words("purposes", "state"), words("recipients", "undeclared")
    else:
        yield row("country", recipient["country"])
        yield row("purposes", words.joined([words.named(purposes[name], name) for name in recipient["purposes"]]))
    for each in recipient["channels"]:
        told = {"first": words.day(each["first_at"]), "last": words.day(each["last_at"])} if each["messages"] else {}
        name = "channel_some" if each["messages"] else "channel_none"
        yield row("channel", words("recipients", name, channel=each["channel"], messages=each["messages"], **told))
    if recipient["calls"]:
        last = words.moment(recipient["last_at"])
        yield row("received", words("recipients", "received_calls", calls=recipient["calls"], last=last))
    elif not recipient["channels"]:
        yield row("received", words("recipients", "received_nothing"))


def _fields(sent: Json, words: Words) -> str:
    undeclared = sent["undeclared_fields"]
    names = [
        words("recipients", "field_undeclared", name=name) if name in undeclared else name for name in sent["fields"]
    ]
    return words.joined(names) or words("recipients", "fields_unknown")


def _transfers(content: Json, words: Words) -> Section:
    section = Section("transfers", words("transfers", "title"))
    if content["transfers"]:
        section.table(
            words("transfers", "caption"),
            [words("transfers", name) for name in ("recipient", "country", "safeguard")],
            [[each["name"], each["country"], words("safeguard", each["safeguard"])] for each in content["transfers"]],
        )
    else:
        section.paragraph(words("transfers", "none" if content["declaration"] else "undeclared"))
    return section


def _sources(content: Json, words: Words) -> Section:
    section = Section("sources", words("sources", "title"))
    told = [
        words(
            "sources",
            "channel",
            channel=each["channel"],
            first=words.day(each["first_at"]),
            last=words.day(each["last_at"]),
        )
        for each in content["channels"]
    ]
    told += [source[words.language] for source in (content["declaration"] or {}).get("sources", ())]
    section.items(told or [words("sources", "none")])
    return section


# Decisions and rights


def _decisions(content: Json, words: Words) -> Section:
    section = Section("decisions", words("decisions", "title"))
    if not content["automated_decisions"]:
        section.paragraph(words("decisions", "none"))
    else:
        section.paragraph(words("decisions", "explained"))
    if content["declaration"]:
        decisive = decided(content, words)
        said = (
            words("decisions", "declared_some", purposes=decisive) if decisive else words("decisions", "declared_none")
        )
        section.paragraph(said)
    if content["automated_decisions"]:
        section.table(
            words("decisions", "caption"),
            [words("decisions", name) for name in ("at", "intent", "confidence", "alternatives", "followed")],
            [
                [
                    words.moment(each["at"]),
                    each["intent"] or words("decisions", "no_intent"),
                    _confidence(each["confidence"]),
                    words.joined([f"{a['intent']} {_confidence(a['confidence'])}" for a in each["alternatives"]]),
                    _followed(each, words),
                ]
                for each in sorted(content["automated_decisions"], key=lambda each: str(each["at"]))
            ],
        )
    return section


def _confidence(value: float | str) -> str:
    """To the hundredth; a number that is none is said as it stands."""
    return f"{value:.2f}" if isinstance(value, int | float) else value


def _followed(decision: Json, words: Words) -> str:
    if not decision["answered"]:
        return words("decisions", "unanswered")
    did = [words("decisions", "fell_back" if decision["fallback"] else "answered")]
    return words.joined(did + [f"{effect['kind']} {effect['name']}" for effect in decision["effects"]])


def _rights(content: Json, words: Words) -> Section:
    section = Section("rights", words("rights", "title"))
    parties = content["declaration"]
    told = [words("rights", name) for name in RIGHTS]
    if parties:
        authority = f"{parties['authority']['name']}, {parties['authority']['contact']}"
        told.append(words("rights", "complaint", authority=authority))
    else:
        told.append(words("rights", "complaint_undeclared"))
    section.items(told)
    if parties:
        section.paragraph(words("rights", "exercise", contact=parties["controller"]["contact"]))
    return section
