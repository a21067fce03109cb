"""A mistake on the command line in one line, with the nearest right word."""

from __future__ import annotations

import difflib
from typing import Any


def wrong_use(error: Any) -> str:
    """A mistake on the command line in one line, with the nearest right word."""
    path = error.ctx.command_path if error.ctx else "spxarb"
    said = error.format_message()
    if option := getattr(error, "option_name", "") if hasattr(error, "possibilities") else "":
        said = f"No such option: {option}.{_near_option(option, error.ctx)}"
    return f"{said.rstrip('.')}{'' if said.endswith('?') else '.'} `{path} --help` tells more."


def _near_option(option: str, ctx: Any) -> str:
    """The option that was meant, or the place where it belongs."""
    if ctx is None:
        return ""
    below = getattr(ctx.command, "commands", {}).values()
    if any(option in each.opts for command in below for each in command.params):
        return f" It stands after the command: spxarb COMMAND {option}"
    known = [name for each in ctx.command.params for name in each.opts]
    near = difflib.get_close_matches(option, [*known, "--help"], 1, 0.5)
    return f" Did you mean {near[0]}?" if near else ""
