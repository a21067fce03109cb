"""`docs/commands.md`, written from the parser itself so that it cannot rot."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spxarb.cli.commands import tree
from spxarb.cli.usage import ROOT, USAGE, codes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

LIBRARYS_OWN = ("install_completion", "show_completion")
"""Options of the program itself that the parser's library brings, in words of its own version."""
_INTRO = """\
# Commands

Generated from the command line's own parser; `spxarb COMMAND --help` says the same.

`spxarb [--config FILE] COMMAND [OPTIONS]`. `--config` may also stand after the command. With `--json` a
command prints one JSON object on stdout, with all its keys, on every exit but 2; the schema of each is in
`docs/json/`. Logs and the one line of a failure go to stderr. [Exit codes](exit-codes.md) mean the same for
all commands; the [glossary](glossary.md) explains the words. The same as a manual page: `spxarb.1`.

`spxarb` alone shows its help, and is exit 2: a timer whose command was forgotten must not look well.
`spxarb --install-completion` teaches bash, zsh or fish to complete commands, options and their values.
"""


def commands() -> str:
    """The text of `docs/commands.md`."""
    root = tree()
    parts = [_INTRO, "\n## spxarb\n\n", root.help, "\n\n", _table(root), _examples(ROOT)]
    for name, command in root.commands.items():
        link = f"With `--json`: [json/{name}.json](json/{name}.json)."
        parts += [f"\n## {name}\n\n", command.help, f" {link}\n\n", _table(command)]
        parts += [_examples(USAGE[name].examples), _codes(name)]
    return "".join(parts)


def _examples(examples: Sequence[tuple[str, str]]) -> str:
    if not examples:
        return ""
    width = max(len(line) for line, _ in examples)
    lines = [f"{line:<{width}}  # {says}\n" for line, says in examples]
    return "".join(["\n```sh\n", *lines, "```\n"])


def _codes(command: str) -> str:
    (_, done), *others = codes_of(command)
    return f"\nExit codes: 0, {done}; else [{', '.join(str(code) for code, _ in others)}](exit-codes.md).\n"


def _table(command: Any) -> str:
    rows = [_row(option) for option in command.params if option.name not in LIBRARYS_OWN]
    return "".join(["| option | meaning | default |\n|---|---|---|\n", *rows])


def _row(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    if option.param_type_name == "argument":
        return f"| `{option.metavar}` | {option.help} |  |\n"
    value = "" if option.is_flag else f" {option.metavar}"
    given = option.default.value if isinstance(option.default, Enum) else option.default
    default = "" if option.is_flag or given is None else f"`{given}`"
    return f"| {names}{value} | {option.help} | {default} |\n"


def write(folder: Path) -> None:
    """Write it below `folder`, the project's root."""
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "commands.md").write_text(commands(), encoding="utf-8")


if __name__ == "__main__":
    write(Path.cwd())
