"""Options that several commands have, and what a call of one comes to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spxarb.cli.calls import Call
from spxarb.cli.values import day, month, year

if TYPE_CHECKING:
    from collections.abc import Sequence

ConfigFile = Annotated[
    # One that cannot be read is an invalid configuration, not a wrong command line.
    # For a plain Path the parser would build a validator each time.
    Path | None,
    typer.Option("--config", metavar="FILE", parser=Path, help="The configuration to read (YAML)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]
Full = Annotated[
    bool, typer.Option("--full", help="Everything, also what a terminal of this height has no room for.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Decide and record, but send the broker nothing.")]


def day_option(name: str, text: str) -> Any:
    return typer.Option(name, metavar="YYYY-MM-DD", parser=day, help=text)


def month_option(name: str, text: str) -> Any:
    return typer.Option(name, metavar="YYYY-MM", parser=month, help=text)


def year_option(name: str, text: str) -> Any:
    return typer.Option(name, metavar="YYYY", parser=year, help=text)


@dataclass(frozen=True)
class CommandLine:
    """What stands before the command, and all of the words."""

    config: Path | None
    arguments: tuple[str, ...]


def config_named(words: Sequence[str]) -> Path | None:
    """The configuration that these words name, whether or not they are a right command line."""
    for place, word in enumerate(words):
        if word == "--config" and place + 1 < len(words):
            return Path(words[place + 1])
        if word.startswith("--config="):
            return Path(word.partition("=")[2])
    return None


def call_of(ctx: typer.Context, config: Path | None, as_json: bool) -> Call:
    line: CommandLine = ctx.obj
    full = bool(ctx.params.get("full"))
    return Call(ctx.info_name or "", config or line.config, as_json, line.arguments, full)
