"""A mistake on the command line in one line, with the nearest right word."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SIMILAR = 0.6
"""How alike two words must be, from 0 to 1, to be a near miss of each other."""
ALSO_CALLED = {
    "close-all": ("flatten", "exit", "exit-all", "liquidate", "panic", "emergency", "sell", "cover"),
    "stop": ("halt", "pause", "disable", "kill"),
    "start": ("resume", "enable", "unpause"),
    "enter": ("open", "trade", "buy", "run"),
    "status": ("positions", "dashboard", "show", "account", "prices", "watch"),
    "report": ("trades", "history", "stats", "statistics", "performance", "export"),
    "monitor": ("check", "mark"),
    "doctor": ("test", "verify", "check-setup"),
    "settle": ("expire", "summary"),
    "ack": ("acknowledge", "resolve"),
    "log": ("logs", "journal", "decisions"),
    "demo": ("simulate", "example"),
    "sim": ("gateway", "simulator"),
    "--help": ("help",),
    "--version": ("version",),
}
"""Words that other programs have for what a command does."""


def wrong(error: Any, everything: Callable[[], Any]) -> str:
    """A mistake on the command line in one line, with the nearest right word.

    `everything` gives the tree of all commands: where a command is parsed, the parser knows it alone.
    """
    path = error.ctx.command_path if error.ctx else "spxarb"
    said = error.format_message().replace("Value error, ", "").rstrip(".")
    said = re.sub(r", unable to parse string as an? \w+", "", said)
    if option := getattr(error, "option_name", "") if hasattr(error, "possibilities") else "":
        said = f"No such option: {option}.{_near_option(option, error.ctx, everything)}"
    elif command := re.match(r"No such command '(.*?)'", said):
        said = f"{command[0]}.{_near_command(command[1], everything().commands)}"
    elif extra := re.match(r"Got unexpected extra arguments?(?:\(s\))? \((.*?)\)", said):
        options = _options(error.ctx.command)
        to_stdout = extra[1] == "-" and "--output" in options
        said = f"{extra[0]}.{_meant('--output -' if to_stdout else _near(f'--{extra[1]}', options))}"
    elif choice := re.search(r"'([^']*)' is not one of (.*)", said):
        values = re.findall(r"'([^']*)'", choice[2])
        said = f"{said}.{_meant(_near(choice[1], values))}"
    return f"{said.rstrip('.')}{'' if said.endswith('?') else '.'} `{path} --help` tells more."


def _near_command(word: str, commands: Iterable[str]) -> str:
    """The command that was meant: by another program's name for it, else by its letters."""
    low = word.lower().replace("_", "-")
    known = [name for name, words in ALSO_CALLED.items() if low in words]
    if not known:
        known = [name for name in commands if name.replace("-", "") == low.replace("-", "")]
    return _meant(*known) if known else _meant(_near(low, commands))


def _near_option(option: str, ctx: Any, everything: Callable[[], Any]) -> str:
    """The option that was meant, or the place where it belongs."""
    if ctx is None:
        return ""
    if near := _near(option, [*_options(ctx.command), "--help"]):
        return _meant(near)
    known = [name for name, command in everything().commands.items() if option in _options(command)]
    if not known:
        return ""
    if ctx.parent is None:
        return f" It stands after the command: spxarb COMMAND {option}"
    if len(known) > MOST_NAMED:
        return ""
    return f" It belongs to {' and '.join(f'`spxarb {name}`' for name in known)}"


MOST_NAMED = 3


def _options(command: Any) -> list[str]:
    return [name for parameter in command.params for name in parameter.opts if name.startswith("-")]


def _near(word: str, words: Iterable[str]) -> str:
    """The most alike of the words, '' when none is; dashes at the beginning make nothing alike."""
    bare = {name.lstrip("-"): name for name in words}
    low = word.lower().replace("_", "-").lstrip("-")
    if low in bare:
        return bare[low]
    begun = [name for name in bare if len(low) > 1 and (name.startswith(low) or low.startswith(name))]
    found = difflib.get_close_matches(low, bare, 1, SIMILAR) or begun[:1]
    return bare[found[0]] if found else ""


def _meant(*names: str) -> str:
    return f" Did you mean {' or '.join(names)}?" if any(names) else ""
