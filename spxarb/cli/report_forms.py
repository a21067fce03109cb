"""Which days a report is of, and in which forms it is shown: a screen, JSON, CSV, a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from spxarb.cli import view
from spxarb.cli.values import DaySpan, Table
from spxarb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from spxarb.core.result import Result

STDOUT = Path("-")


def period(
    *,
    day: date | None,
    month: DaySpan | None,
    year: int | None,
    tax: int | None,
    since: date | None,
    until: date | None,
) -> tuple[date | None, date | None]:
    """The first and the last day; None: without an end. Raises UsageError for two periods at once."""
    named = {
        "--day": DaySpan(day, day) if day else None,
        "--month": month,
        "--year": _year(year),
        "--tax": _year(tax),
    }
    given = {option: days for option, days in named.items() if days}
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} are two periods: leave one out")
    for option, days in given.items():
        if since or until:
            raise UsageError(f"{option} is a period: leave out --since and --until")
        return days.first, days.last
    if since and until and since > until:
        raise UsageError(f"--since {since} is after --until {until}: exchange them")
    return since, until


def _year(year: int | None) -> DaySpan | None:
    return None if year is None else DaySpan(date(year, 1, 1), date(year, 12, 31))


@dataclass(frozen=True)
class Forms:
    """The options of `report` that say how it is shown."""

    as_csv: bool
    output: Path | None
    table: Table | None
    html: Path | None
    tax: int | None
    as_json: bool
    last: int | None = None
    full: bool = False

    @property
    def files(self) -> list[Path]:
        """What is to be written to."""
        return [file for file in (self.output, self.html) if file is not None and file != STDOUT]

    def check(self) -> None:
        """Raise UsageError where the options do not go together."""
        if not self.as_csv and (self.output or self.table):
            raise UsageError("--output and --table belong to --csv: add it")
        if self.table is Table.TAX and self.tax is None:
            raise UsageError("--table tax is of one year: name it with --tax")
        if self.tax is not None and self.last is not None:
            raise UsageError("--tax is of a whole year: leave out --last")
        csv, html = self.as_csv and self.output in {None, STDOUT}, self.html == STDOUT
        if csv and (self.as_json or html):
            other = "--json" if self.as_json else "--html"
            raise UsageError(f"--csv and {other} cannot both have stdout: add --output FILE")
        if html and self.as_json:
            raise UsageError("--html and --json cannot both have stdout: name a file with --html")
        if len({file.resolve() for file in self.files}) < len(self.files):
            raise UsageError("--output and --html name one file: name two")

    def show(self, result: Result) -> int:
        """Show or write the result. Returns the exit code.

        Raises UsageError where a file cannot be written.
        """
        code = result.exit_code
        if self.html is not None:
            quiet = self.as_json or self.as_csv
            code = _written(self.html, lambda file: view.show_page(result, file, quiet=quiet))
        if self.as_csv:
            table = self.table or (Table.TRADES if self.tax is None else Table.TAX)
            code = _written(self.output, lambda file: view.show_csv(result, table, file, quiet=self.as_json))
        if self.as_json or not (self.as_csv or self.html):
            return view.show(result, json=self.as_json, full=self.full)
        return code


def _written(file: Path | None, write: Callable[[Path | None], int]) -> int:
    try:
        return write(None if file == STDOUT else file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from None
