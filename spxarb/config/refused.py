"""What is still taken from a configuration that others may have written: where a ledger of ours lies.

A refused file must not strand an open spread, and the ledger that knows of it may lie at a place that only
this file names. So that place alone is taken from it, for the verbs that exit, and only where the ledger
there is a file of this very user which nobody else can have written: whoever wrote the name can then but
choose among our own ledgers, each of which has the limits, the mode and the account of its trades with it.
The folder may be one in which others write, as it may be with a sound configuration: a spread must not stay
open for it. Of a ledger that others can have written nothing is believed but that a human must look.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from spxarb.config.file import read_document, read_env_file
from spxarb.config.paths import file_problem, path_problem, user_path
from spxarb.config.trusted import Trust, is_ours_alone
from spxarb.config.variables import STATE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spxarb.config.schema import Sections

LEDGER_NAME = "trading.db"
LEDGER_VARIABLE = "SPXARB_DATABASE"
MODES = ("live", "paper", "sim")


def ledgers_named_by(document: Path | None, env_files: Iterable[Path]) -> list[Path]:
    """The places of ledgers that the refused files name, whosever is there, each once."""
    return list(dict.fromkeys([*_of_env_files(env_files), *_of_document(document)]))


def ledgers_in(folder: Path) -> list[Path]:
    """Where each mode has its ledger under the state folder."""
    return [folder / mode / LEDGER_NAME for mode in MODES]


def ours_of(places: Iterable[Path]) -> list[Path]:
    """Those from which an exit may be made."""
    return [place for place in places if is_ours_alone(place)]


def ledgers_beside_file(file: Path | None) -> list[Path]:
    """Where a ledger may be in the folder of a configuration that cannot be read."""
    return [] if file is None else [file.absolute().parent / LEDGER_NAME]


def with_alerts(sections: Sections) -> Sections:
    """Alerts are on: an address of theirs is known, and not whether the unread file forbids them."""
    told = sections.notifications.model_copy(update={"email_enabled": True})
    return sections.model_copy(update={"notifications": told})


def _of_document(file: Path | None) -> Iterator[Path]:
    if file is None:
        return
    storage = read_document(file, Trust.ANYBODY).values.get("storage")
    text = storage.get("database") if isinstance(storage, dict) else None
    if isinstance(text, str) and text.strip() and not file_problem(text):
        yield file.parent / user_path(text)


def _of_env_files(files: Iterable[Path]) -> Iterator[Path]:
    for file in files:
        values = read_env_file(file, trust=Trust.ANYBODY).values
        named, state = values.get(LEDGER_VARIABLE, ""), values.get(STATE_VARIABLE, "").partition(":")[0]
        with suppress(ValueError):
            if named.strip() and not file_problem(named):
                yield user_path(named)
            if state.startswith("/") and not path_problem(state):
                yield from ledgers_in(Path(state))
