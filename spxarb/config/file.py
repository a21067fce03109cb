"""Reading configuration files: YAML with line numbers, `.env`, and the text of environment variables.

YAML 1.1 reads `15:45` as 945 and `04002` as 2050. Here numbers follow YAML 1.2: a time stays text and a
leading zero means nothing. A key given twice is a problem, not a silent choice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spxarb.imports import trimmed

with trimmed("yaml"):
    from yaml.error import YAMLError
    from yaml.loader import SafeLoader
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode

if TYPE_CHECKING:
    from pathlib import Path

    from yaml.nodes import Node

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


def _whole(loader: SafeLoader, node: ScalarNode) -> int:
    return int(loader.construct_scalar(node))


_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a YAML file: `values[section]` is a mapping, or whatever the file has in its place.

    `lines` has the line of each section and of each dotted key, `problems` what is wrong with the file.
    `empty`: nothing is in it but comments.
    """

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    empty: bool = False


def read_document(path: Path) -> Document:
    """The file at `path`. Never raises: what is wrong with it is in `problems`."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        return Document(problems=(f"{path} cannot be read: {error.strerror or error}",))
    try:
        return _parse(raw)
    except YAMLError as error:
        return Document(_single_lines(raw), problems=(_syntax_problem(error),))
    except (RecursionError, ValueError) as error:
        return Document(problems=(f"not usable YAML: {error}",))


def _parse(raw: bytes) -> Document:
    loader = _Loader(raw)
    try:
        root = loader.get_single_node()
        if root is None or root.tag == _NULL:  # empty, comments alone, or no more than `---`
            return Document(empty=True)
        if not isinstance(root, MappingNode):
            line = root.start_mark.line + 1
            return Document(
                problems=(f"line {line}: expected sections such as `trading:`, not {_shape(root)}",)
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


def _survey(root: MappingNode) -> tuple[dict[str, int], list[str]]:
    """The lines of all sections and keys, and a sentence for each key that occurs twice."""
    lines: dict[str, int] = {}
    problems: list[str] = []
    _survey_mapping(root, "", lines, problems)
    for key, value in root.value:
        if isinstance(key, ScalarNode) and isinstance(value, MappingNode):
            _survey_mapping(value, f"{key.value}.", lines, problems)
    return lines, problems


def _survey_mapping(node: MappingNode, prefix: str, lines: dict[str, int], problems: list[str]) -> None:
    for key, _ in node.value:
        if not isinstance(key, ScalarNode) or key.value == "<<":
            continue
        name, line = f"{prefix}{key.value}", key.start_mark.line + 1
        if name in lines:
            problems.append(f"{name} is set twice (lines {lines[name]} and {line}): keep one")
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


def read_env_file(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The `KEY=value` lines of a `.env` file, and what is wrong with them.

    Understands blank lines, `#` comments, a leading `export` and quotes around a value; expands nothing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return {}, (f"{path} cannot be read: {getattr(error, 'strerror', None) or error}",)
    values: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        found = _ENV_LINE.match(bare)
        if found is None:
            problems.append(f"{path} line {number}: expected KEY=value")
        else:
            values[found[1]] = _unquote(found[2])
    return values, tuple(problems)


def _unquote(text: str) -> str:
    if text[:1] in {"'", '"'}:
        end = text.find(text[0], 1)
        return text[1:end] if end > 0 else text
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()


def text_as_value(text: str, kind: str) -> object:
    """The text of an environment variable as its key's kind: `number`, `whole`, `bool` or `text`.

    Text that does not fit is returned unchanged: the key's own check then reports it.
    """
    bare = text.strip()
    if kind == "bool":
        return {word: on for on, words in _BOOLEANS.items() for word in words}.get(bare.lower(), text)
    if kind == "whole" and _INT.match(bare):
        return int(bare)
    if kind == "number" and _FLOAT.match(bare):
        return int(bare) if _INT.match(bare) else float(bare)
    return bare


_BOOLEANS = {True: ("true", "yes", "on", "1"), False: ("false", "no", "off", "0")}
