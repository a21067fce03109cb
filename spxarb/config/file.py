"""Reading configuration files: YAML with line numbers, `.env`, and the text of environment variables.

YAML 1.1 reads `15:45` as 945 and `04002` as 2050. Here numbers follow YAML 1.2: a time stays text and a
leading zero means nothing. A key given twice is a problem, not a silent choice.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spxarb.config.problems import Problem
from spxarb.imports import trimmed

with trimmed("yaml"):
    from yaml.error import YAMLError
    from yaml.loader import SafeLoader
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from yaml.nodes import Node

MOST_BYTES = 1_000_000
"""No configuration is as large."""
LONGEST_NUMBER = 4000
"""Digits; Python itself makes no whole number of more than 4,300."""

_INT = re.compile(r"^[-+]?[0-9]+(?:_[0-9]+)*$")
_FLOAT = re.compile(
    r"""^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$
       |^[-+]?\.(?:inf|Inf|INF)$
       |^\.(?:nan|NaN|NAN)$""",
    re.VERBOSE,
)
_YAML_LINE = re.compile(r"^(\s*)([A-Za-z_][A-Za-z0-9_]*)\s*:(?:\s+(.*)|)$")
_ENV_LINE = re.compile(r"^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$")
_kept: dict[Path, bytes] = {}
_BLANKS = str.maketrans("\t\n\r", "   ")
_NULL = "tag:yaml.org,2002:null"
_REPLACED = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _Loader(SafeLoader):
    """Safe YAML with the numbers of YAML 1.2."""

    def check_printable(self, data: str) -> None:
        """As the library's; plain text is seen to be so without its pattern, which takes long to compile."""
        if not (data.isascii() and data.translate(_BLANKS).isprintable()):
            super().check_printable(data)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag not in _REPLACED]
    for first, rules in SafeLoader.yaml_implicit_resolvers.items()
}


def _whole(loader: SafeLoader, node: ScalarNode) -> int | str:
    """A whole number; one too long to be any stays text, and its key says so."""
    text = str(loader.construct_scalar(node))
    return text if len(text) > LONGEST_NUMBER else int(text)


def _date(loader: SafeLoader, node: ScalarNode) -> object:
    """A date; one that does not exist stays text, and its key says so."""
    try:
        return loader.construct_yaml_timestamp(node)
    except ValueError:
        return str(loader.construct_scalar(node))


_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date)


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a YAML file: `values[section]` is a mapping, or whatever the file has in its place.

    `lines` has the line of each section and of each dotted key, `problems` what is wrong with the file.
    `empty`: nothing is in it but comments.
    """

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    empty: bool = False


def read_document(path: Path) -> Document:
    """The file at `path`. Never raises: what is wrong with it is in `problems`."""
    try:
        raw = read_regular(path)
    except OSError as error:
        return Document(problems=(Problem(f"{path} cannot be read: {error.strerror or error}"),))
    try:
        return _parse(raw)
    except YAMLError as error:
        return Document(_single_lines(raw), problems=(Problem(_syntax_problem(error)),))
    except (RecursionError, ValueError) as error:
        return Document(problems=(Problem(f"not usable YAML: {error}"),))


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file. Raises OSError, also for what would never end: a pipe, a device."""
    if (kept := _kept.get(path.absolute())) is not None:
        return kept
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        if found.st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {MOST_BYTES:,} bytes")
        return file.read(MOST_BYTES)


def keep_content(path: Path) -> None:
    """Remember the bytes of a file: this process may become a user who cannot read it. Raises OSError."""
    _kept[path.absolute()] = read_regular(path)


def _parse(raw: bytes) -> Document:
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
    for line in raw.decode("utf-8", "replace").splitlines():
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
        if not isinstance(key, ScalarNode) or key.value == "<<":
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


def read_env_file(path: Path, ours: Container[str] = ()) -> tuple[dict[str, str], tuple[str, ...]]:
    """The `KEY=value` lines of a `.env` file, and what is wrong with them; `ours` may be set once.

    Understands blank lines, `#` comments, a leading `export`, quotes around a value, a byte order mark and
    the line ends of Windows; expands nothing.
    """
    try:
        text = read_regular(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        return {}, (f"{path} cannot be read: it is not UTF-8 text (save it as UTF-8)",)
    except OSError as error:
        return {}, (f"{path} cannot be read: {error.strerror or error}",)
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[str] = []
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        found = _ENV_LINE.match(bare)
        value = _unquote(found[2]) if found else None
        if found is None:
            problems.append(f"{path} line {number}: expected KEY=value")
        elif value is None:
            problems.append(f"{path} line {number}: the quotation marks around {found[1]} do not fit")
        elif found[1] in ours and values.get(found[1], value) != value:
            was = lines[found[1]]
            problems.append(f"{path}: {found[1]} is set twice (lines {was} and {number}): keep one")
        else:
            values[found[1]], lines[found[1]] = value, number
    return values, tuple(problems)


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
    if len(bare) > LONGEST_NUMBER:
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
