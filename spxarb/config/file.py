"""Reading configuration files: YAML with line numbers, `.env`, and the text of environment variables.

YAML 1.1 reads `15:45` as 945 and `04002` as 2050. Here numbers follow YAML 1.2: a time stays text and a
leading zero means nothing. A key given twice is a problem, not a silent choice. A setting is small, so a
file that grows when it is read is none: anchors, aliases and merge keys are refused, and so are depth and
number of values that no configuration has; a number beyond what any setting can be stays text, which its
key refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from spxarb.config.problems import Problem
from spxarb.config.trusted import Trust, UntrustedError, read
from spxarb.imports import trimmed

with trimmed("yaml"):
    from yaml.error import MarkedYAMLError, YAMLError
    from yaml.events import AliasEvent
    from yaml.loader import SafeLoader
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from yaml.events import Event
    from yaml.nodes import Node

MOST_BYTES = 256 * 1024
"""No configuration and no `.env` is as large: the example with every key and its remark has 11 KB."""
MOST_DEPTH = 8
"""Levels of lists and mappings; a configuration has three."""
MOST_VALUES = 5000
"""Keys and values, those in lists included: closures of two centuries are fewer."""
MOST_READ_LINES = 2000
"""Of a file that is not YAML."""
LONGEST_NUMBER = 64
"""Characters; a longer number stays text."""
LARGEST_EXPONENT = 18
"""Decimal places left or right of the point: a number that needs more is none that a setting can be."""

_INT = re.compile(r"^[-+]?[0-9]+(?:_[0-9]+)*$")
_FLOAT = re.compile(
    r"""^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$
       |^[-+]?\.(?:inf|Inf|INF)$
       |^\.(?:nan|NaN|NAN)$""",
    re.VERBOSE,
)
_YAML_LINE = re.compile(r"^(\s*)([A-Za-z_][A-Za-z0-9_]*)\s*:(?:\s+(.*)|)$")
_ENV_LINE = re.compile(r"^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$")
_BLANKS = str.maketrans("\t\n\r", "   ")
_NULL = "tag:yaml.org,2002:null"
_REPLACED = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:merge")


class _GrowingError(MarkedYAMLError):
    """A file that is more than a configuration"""


class _Loader(SafeLoader):
    """Safe YAML with the numbers of YAML 1.2, and without what lets a small file grow."""

    def __init__(self, stream: bytes | str) -> None:
        super().__init__(stream)
        self._depth = self._values = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """As the library's. Raises _GrowingError."""
        event: Event = self.peek_event()  # type: ignore[no-untyped-call]
        self._values += 1
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _growing(event, "anchors (&) and aliases (*) are refused: write the value out")
        if self._values > MOST_VALUES:
            raise _growing(event, f"more than {MOST_VALUES:,} values are no configuration")
        if self._depth >= MOST_DEPTH:
            raise _growing(event, f"more than {MOST_DEPTH} levels are no configuration")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def check_printable(self, data: str) -> None:
        """As the library's; plain text is seen to be so without its pattern, which takes long to compile."""
        if not (data.isascii() and data.translate(_BLANKS).isprintable()):
            super().check_printable(data)


def _growing(event: Event, what: str) -> _GrowingError:
    return _GrowingError(problem=what, problem_mark=event.start_mark)  # type: ignore[arg-type]


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag not in _REPLACED]
    for first, rules in SafeLoader.yaml_implicit_resolvers.items()
}


def _whole(loader: SafeLoader, node: ScalarNode) -> int | str:
    """A whole number; one too long to be any stays text, and its key says so."""
    text = str(loader.construct_scalar(node))
    return int(text) if is_a_setting(text) else text


def _fraction(loader: SafeLoader, node: ScalarNode) -> float | str:
    """Likewise, of a number with a point or an exponent: 1e-999999 is not 0."""
    text = str(loader.construct_scalar(node))
    return loader.construct_yaml_float(node) if is_a_setting(text) else text


def is_a_setting(text: str) -> bool:
    """Whether a number's text is short enough, and its size such, that a setting may be it."""
    if len(text) > LONGEST_NUMBER:
        return False
    _, e, exponent = text.lower().partition("e")
    return not e or not exponent.lstrip("+-").isdecimal() or abs(int(exponent)) <= LARGEST_EXPONENT


def _date(loader: SafeLoader, node: ScalarNode) -> object:
    """A date; one that does not exist stays text, and its key says so."""
    try:
        return loader.construct_yaml_timestamp(node)
    except ValueError:
        return str(loader.construct_scalar(node))


_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _fraction)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date)


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a YAML file: `values[section]` is a mapping, or whatever the file has in its place.

    `lines` has the line of each section and of each dotted key, `problems` what is wrong with the file.
    `empty`: nothing is in it but comments. `refused`: others may have written it, so that nothing was read.
    """

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    empty: bool = False
    refused: bool = False


def read_document(path: Path, trust: Trust = Trust.NAMED) -> Document:
    """The file at `path`. Never raises: what is wrong with it is in `problems`."""
    try:
        found = read(path, trust, MOST_BYTES)
    except UntrustedError as error:
        return Document(problems=(Problem(untrusted(path, error)),), refused=True)
    except OSError as error:
        return Document(problems=(Problem(f"{path} cannot be read: {error.strerror or error}"),))
    raw = found.raw
    if found.cut:
        return Document(_single_lines(raw), problems=(Problem(f"{path} cannot be read: {_LARGE}"),))
    try:
        return _parse(raw)
    except YAMLError as error:
        return Document(_single_lines(raw), problems=(Problem(_syntax_problem(error)),))
    except (RecursionError, ValueError) as error:
        return Document(problems=(Problem(f"not usable YAML: {error}"),))


_LARGE = f"it is larger than {MOST_BYTES:,} bytes"


def untrusted(path: Path, error: UntrustedError) -> str:
    """What to tell of a file that others may have written."""
    return f"{path} is not trusted, and was not read: {error.strerror}"


@lru_cache(maxsize=2)
def _parse(raw: bytes) -> Document:
    """The document of these bytes: a root that becomes the ledger's owner reads a configuration twice."""
    loader = _Loader(raw)
    try:
        root = loader.get_single_node()
        if root is None or root.tag == _NULL:  # empty, comments alone, or no more than `---`
            return Document(empty=True)
        if not isinstance(root, MappingNode):
            line = root.start_mark.line + 1
            return Document(
                problems=(Problem(f"line {line}: expected sections such as `trading:`, not {_shape(root)}"),)
            )
        lines, problems = _survey(root)
        values = loader.construct_document(root)
    finally:
        loader.dispose()
    return Document({str(key): value for key, value in values.items()}, lines, tuple(problems))


def _single_lines(raw: bytes) -> dict[str, dict[str, Any]]:
    """What can be read of a file that is not YAML: sections and values that fit on one line.

    The file stays invalid; this is enough to find the ledger of an open position.
    """
    values: dict[str, dict[str, Any]] = {}
    section = ""
    for line in raw.decode("utf-8", "replace").splitlines()[:MOST_READ_LINES]:
        found = _YAML_LINE.match(line)
        if found is None:
            continue
        value = _value_of(found[3] or "")
        if not found[1]:
            section = found[2]
            values.setdefault(section, {}).update(value if isinstance(value, dict) else {})
        elif section and value is not None and not isinstance(value, dict | list):
            values[section][found[2]] = value
    return {name: content for name, content in values.items() if content}


def _value_of(text: str) -> object:
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except (YAMLError, ValueError):
        return None


def _survey(root: MappingNode) -> tuple[dict[str, int], list[Problem]]:
    """The lines of all sections and keys, and a sentence for each key that occurs twice."""
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    _survey_mapping(root, "", lines, problems)
    for key, value in root.value:
        if isinstance(key, ScalarNode) and isinstance(value, MappingNode):
            _survey_mapping(value, f"{key.value}.", lines, problems)
    return lines, problems


def _survey_mapping(node: MappingNode, prefix: str, lines: dict[str, int], problems: list[Problem]) -> None:
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            continue
        name, line = f"{prefix}{key.value}", key.start_mark.line + 1
        if name in lines:
            problems.append(Problem(f"{name} is set twice (lines {lines[name]} and {line}): keep one", name))
        lines.setdefault(name, line)


def _shape(node: Node) -> str:
    return "a list" if isinstance(node, SequenceNode) else "a single value"


def _syntax_problem(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    text = " ".join(str(getattr(error, "problem", None) or error).split())
    return f"line {mark.line + 1}: not valid YAML, {text}" if mark is not None else f"not valid YAML, {text}"


def exists(path: Path) -> bool:
    """Whether something is at `path`. What may not be inspected counts: reading it will say why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


@dataclass(slots=True)
class EnvLines:
    """The `KEY=value` lines of a `.env`, and what is wrong with them.

    `refused`: others may have written it, so that nothing was read. `for_everybody`: every user may read it.
    """

    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    refused: bool = False
    for_everybody: bool = False


def read_env_file(path: Path, ours: Container[str] = (), trust: Trust = Trust.FOUND) -> EnvLines:
    """The lines of a `.env` file; each of `ours` may be set once.

    Understands blank lines, `#` comments, a leading `export`, quotes around a value, a byte order mark and
    the line ends of Windows; expands nothing.
    """
    try:
        content = read(path, trust, MOST_BYTES)
        text = content.raw.decode("utf-8-sig")
    except UntrustedError as error:
        return EnvLines(problems=[untrusted(path, error)], refused=True)
    except UnicodeDecodeError:
        return EnvLines(problems=[f"{path} cannot be read: it is not UTF-8 text (save it as UTF-8)"])
    except OSError as error:
        return EnvLines(problems=[f"{path} cannot be read: {error.strerror or error}"])
    if content.cut:
        return EnvLines(problems=[f"{path} cannot be read: {_LARGE}"])
    found = _env_lines(path, text, ours)
    found.for_everybody = content.for_everybody
    return found


def _env_lines(path: Path, text: str, ours: Container[str]) -> EnvLines:
    found = EnvLines()
    lines: dict[str, int] = {}
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        match = _ENV_LINE.match(bare)
        value = _unquote(match[2]) if match else None
        if match is None:
            found.problems.append(f"{path} line {number}: expected KEY=value")
        elif value is None:
            found.problems.append(f"{path} line {number}: the quotation marks around {match[1]} do not fit")
        elif match[1] in ours and found.values.get(match[1], value) != value:
            was = lines[match[1]]
            found.problems.append(f"{path}: {match[1]} is set twice (lines {was} and {number}): keep one")
        else:
            found.values[match[1]], lines[match[1]] = value, number
    return found


def _unquote(text: str) -> str | None:
    """The value without its quotes and what is a remark after it; None where the quotes do not fit."""
    if text[:1] in {"'", '"'}:
        end = text.find(text[0], 1)
        rest = text[end + 1 :].strip()
        return text[1:end] if end > 0 and (not rest or rest.startswith("#")) else None
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()


def text_as_value(text: str, kind: str) -> object:
    """The text of an environment variable as its key's kind: `number`, `whole`, `bool`, `text` or `path`.

    Text that does not fit is returned unchanged: the key's own check then reports it. A path keeps the blanks
    around it: they name another file.
    """
    if kind == "path":
        return text
    bare = text.strip()
    if kind in {"whole", "number"} and not is_a_setting(bare):
        return bare
    if kind == "bool":
        return {word: on for on, words in _BOOLEANS.items() for word in words}.get(bare.lower(), text)
    if kind == "whole" and _INT.match(bare):
        return int(bare)
    if kind == "number" and _FLOAT.match(bare.lower()):
        return (
            int(bare)
            if _INT.match(bare)
            else float(bare.lower().replace(".inf", "inf").replace(".nan", "nan"))
        )
    return bare


_BOOLEANS = {True: ("true", "yes", "on", "1"), False: ("false", "no", "off", "0")}
