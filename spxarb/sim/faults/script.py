"""Scripts of faults: plain values in, entries out, or every problem at once.

A script is a list of entries, or a mapping of ``seed`` and ``faults``. An entry says ``when`` (without it: at
once) and ``what``, and may say ``times``, ``for``, ``after_seconds`` and ``chance``; see `Entry`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from spxarb.sim.faults.readers import READERS
from spxarb.sim.faults.table import FAULTS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from spxarb.sim.faults.kinds import FaultKind, Subject, Values

_ENTRY = ("when", "what", "times", "for", "after_seconds", "chance")
_WHEN = ("at", "request", "message", "nth", "client_id", "order_ref", "symbol", "sec_type", "con_id", "side")
_ORDER = ("order_ref", "symbol", "sec_type", "con_id", "side")
ALWAYS = 1_000
"""How often an entry with `times: always` may fire: a script that triggers itself comes to an end."""


class ScriptError(ValueError):
    """A script that cannot be played; `problems` has a line for each thing that is wrong in it."""

    def __init__(self, problems: Iterable[str]) -> None:
        """The text is all of them."""
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True)
class When:
    """What makes a fault fire. Without request and message: the time, else an order, else the start."""

    at: dt.time | None = None
    request: int | None = None
    message: int | None = None
    nth: int = 1
    client_id: int | None = None
    order_ref: str = ""
    symbol: str = ""
    sec_type: str = ""
    con_id: int = 0
    side: str = ""

    @property
    def names_order(self) -> bool:
        """True when it describes an order or contract."""
        return any(getattr(self, name) for name in _ORDER)

    def fits(self, subject: Subject | None) -> bool:
        """True for an order or contract of that description."""
        if not self.names_order:
            return True
        if subject is None:
            return False
        return (
            (not self.order_ref or fnmatchcase(subject.order_ref, self.order_ref))
            and self.fits_quote(subject)
            and self.side in {"", subject.side}
        )

    def fits_quote(self, subject: Subject) -> bool:
        """As `fits`, without what only an order has."""
        return (
            self.symbol in {"", subject.symbol}
            and self.sec_type in {"", subject.sec_type}
            and self.con_id in {0, subject.con_id}
        )


@dataclass(frozen=True)
class Entry:
    """One line of a script. `seconds`, `after` are market seconds; `times` is how often it fires.

    `endless`: a firing stays in force to the end of the script, however often it acts.
    """

    kind: FaultKind
    args: Values
    when: When = When()
    times: int = 1
    seconds: float | None = None
    after: float = 0.0
    chance: float = 1.0
    endless: bool = False


@dataclass(frozen=True)
class Script:
    """Entries, and the seed of their random numbers."""

    entries: tuple[Entry, ...] = ()
    seed: int = 0


@dataclass
class _ScriptReader:
    """Reads values and collects what is wrong with them; `where` names the entry being read."""

    problems: list[str] = field(default_factory=list)
    where: str = ""

    def problem(self, text: str) -> None:
        self.problems.append(f"{self.where}{text}")

    def read(self, name: str, type_: str, value: object, choices: tuple[str, ...] = ()) -> object:
        """A value by the reader of its type; None and a problem when it is none."""
        try:
            read = READERS[type_](value)
        except (ValueError, TypeError, OverflowError) as problem:
            self.problem(f"{name}: {value!r} is not {problem}")
            return None
        if choices and read not in choices:
            self.problem(f"{name}: {value!r} is none of {', '.join(choices)}{near(str(value), choices)}")
            return None
        return read

    def keys(self, given: Mapping[object, object], known: tuple[str, ...], name: str) -> None:
        for key in given:
            if key not in known:
                close = near(str(key), known) or f"; known: {', '.join(known) or 'none'}"
                self.problem(f"{name} {key!r} is unknown{close}")


def near(word: str, known: Iterable[str]) -> str:
    """A question about the known word that looks like `word`; empty when none does."""
    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def read_script(plain: object, seed: int = 0) -> Script:
    """A script from plain values. Raises ScriptError with every problem; `seed` is for one that has none."""
    reader = _ScriptReader()
    if isinstance(plain, dict):
        reader.keys(plain, ("seed", "faults"), "key")
        given = plain.get("seed", seed)
        if isinstance(given, bool) or not isinstance(given, int):
            reader.problem(f"seed: {given!r} is not a whole number")
        else:
            seed = given
        plain = plain.get("faults", [])
    if plain is None:
        plain = []
    if not isinstance(plain, list | tuple):
        reader.problem(f"a script is a list of entries, not {plain!r:.60}")
        plain = []
    entries = []
    for number, item in enumerate(plain, 1):
        reader.where = f"entry {number}: "
        entry = _entry(reader, item)
        if entry is not None:
            entries.append(entry)
    if reader.problems:
        raise ScriptError(reader.problems)
    return Script(tuple(entries), seed)


def _entry(reader: _ScriptReader, plain: object) -> Entry | None:
    if isinstance(plain, str):
        plain = {"what": plain}
    if not isinstance(plain, dict):
        reader.problem(f"{plain!r:.60} is not a mapping of when and what")
        return None
    reader.keys(plain, _ENTRY, "key")
    when = _when(reader, plain.get("when"))
    found = _what(reader, plain.get("what"), when)
    wanted, lasts = plain.get("times", 1), plain.get("for")
    times = ALWAYS if wanted == "always" else reader.read("times", "count", wanted)
    endless = lasts == "always"
    seconds = reader.read("for", "seconds", lasts) if "for" in plain and not endless else None
    after = reader.read("after_seconds", "seconds", plain.get("after_seconds", 0))
    chance = reader.read("chance", "share", plain.get("chance", 1))
    if found is None:
        return None
    kind, args = found
    if (endless or seconds is not None) and kind.momentary:
        reader.problem(f"for: {kind.name} happens at one moment and has no duration")
    if times not in {1, None} and _fires_by_itself(kind, when):
        reader.problem(f"times: {wanted!r} needs a request, a message or an order in when")
    if reader.problems:
        return None
    return Entry(kind, args, when, int(str(times)), seconds, after, chance, endless)  # type: ignore[arg-type]


def _fires_by_itself(kind: FaultKind, when: When) -> bool:
    """True when no request or message is needed."""
    if when.request is not None or when.message is not None:
        return False
    quotes = kind.quotes_only and not when.order_ref and not when.side
    return when.at is not None or not when.names_order or quotes


def fires_by_itself(entry: Entry) -> bool:
    """True when an entry fires at the start or at a time, not by what clients do."""
    return _fires_by_itself(entry.kind, entry.when)


def _when(reader: _ScriptReader, plain: object) -> When:
    if plain is None or plain == "immediately":
        return When()
    if not isinstance(plain, dict):
        reader.problem(f"when: {plain!r:.60} is not a mapping of {', '.join(_WHEN)}")
        return When()
    reader.keys(plain, _WHEN, "when:")
    types = {"at": "time", "request": "request", "message": "message", "nth": "count"}
    types |= dict.fromkeys(("client_id", "con_id"), "integer")
    choices = {"side": ("BUY", "SELL"), "sec_type": ("IND", "STK", "OPT")}
    values: Values = {}
    for name in _WHEN:
        if name in plain:
            type_ = types.get(name, "text")
            read = reader.read(f"when: {name}", type_, plain[name], choices.get(name, ()))
            values[name] = -1 if read is None and name in {"request", "message"} else read
    if "request" in values and "message" in values:
        reader.problem("when: either a request or a message, not both")
    return When(**{name: value for name, value in values.items() if value is not None})


def _what(reader: _ScriptReader, plain: object, when: When) -> tuple[FaultKind, Values] | None:
    given: object = {}
    if isinstance(plain, dict) and len(plain) == 1:
        ((plain, given),) = plain.items()
    if not isinstance(plain, str):
        reader.problem(f"what: {plain!r:.60} is not the name of a fault, or one name with its parameters")
        return None
    kind = FAULTS.get(plain)
    if kind is None:
        reader.problem(f"what: unknown fault {plain!r}{near(plain, FAULTS)}")
        return None
    if not isinstance(given, dict | None):
        reader.problem(f"{plain}: {given!r:.60} is not a mapping of parameters")
        return None
    return kind, _arguments(reader, kind, given or {}, when)


def _arguments(reader: _ScriptReader, kind: FaultKind, given: Mapping[object, object], when: When) -> Values:
    reader.keys(given, tuple(parameter.name for parameter in kind.parameters), f"{kind.name}: parameter")
    args: Values = {}
    for parameter in kind.parameters:
        name = parameter.name
        if name in given:
            args[name] = reader.read(f"{kind.name}: {name}", parameter.type, given[name], parameter.choices)
        elif parameter.required:
            reader.problem(f"{kind.name}: {name} is missing")
        else:
            args[name] = parameter.default
    if kind.needs_message and not args.get("messages") and when.message is None:
        reader.problem(f"{kind.name}: messages is missing, and when names no message")
    if kind.needs_request and not args.get("requests") and when.request is None and not when.names_order:
        reader.problem(f"{kind.name}: requests is missing, and when names no request")
    return args
