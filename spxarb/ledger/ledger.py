"""The ledger: what was traded, sent, filled and paid, in one SQLite file for one mode and account.

The only memory between two commands. Every fact that money depends on is here before it is acted upon:
an order is on disk before it is sent (`orders.intend`), an execution is kept as the broker reported it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from spxarb.errors import RefusedError
from spxarb.ledger.days import Days
from spxarb.ledger.evidence import LiveEvidence
from spxarb.ledger.file import LedgerFile
from spxarb.ledger.fills import Fills
from spxarb.ledger.history import History
from spxarb.ledger.looks import Looks
from spxarb.ledger.matters import Matters
from spxarb.ledger.opening import exists
from spxarb.ledger.orders import Orders
from spxarb.ledger.outbox import Outbox
from spxarb.ledger.periods import Periods
from spxarb.ledger.runs import Runs
from spxarb.ledger.settlements import Settlements
from spxarb.ledger.state import TradingState
from spxarb.ledger.stops import EntryStops
from spxarb.ledger.trades import Trades

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path


class Ledger:
    """An open ledger: its parts over one file. Close it, or use it as a context manager.

    A method that writes joins the open `write()`, or makes a transaction of its own. Days are New York's;
    money is dollars.
    """

    def __init__(self, file: LedgerFile) -> None:
        """Not called directly: `open` it."""
        self._file = file
        self.trades = Trades(file)
        self.orders = Orders(file)
        self.fills = Fills(file)
        self.settlements = Settlements(file)
        self.days = Days(file)
        self.state = TradingState(file)
        self.matters = Matters(file)
        self.runs = Runs(file, self.state)
        self.looks = Looks(file)
        self.history = History(file)
        self.periods = Periods(file)
        self.stops = EntryStops(file)
        self.outbox = Outbox(file)
        self.evidence = LiveEvidence(file)

    exists = staticmethod(exists)

    @classmethod
    def open(cls, path: Path, *, mode: str, read_only: bool = False) -> Self:
        """The ledger at `path`, made when there is none; `read_only` makes nothing: an absent one is empty.

        Raises RefusedError, and leaves the file as it is, when it is damaged, of another mode, made by a
        newer version or by another program, or cannot be written.
        """
        return cls(LedgerFile.open(path, mode=mode, read_only=read_only))

    @classmethod
    def look(cls, path: Path, *, mode: str) -> Self:
        """The ledger at `path` as it is: not even its version or its permissions are changed.

        Raises RefusedError as `open` does. An older version's tables lack columns of a newer one's.
        """
        return cls(LedgerFile.look(path, mode=mode))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self) -> AbstractContextManager[None]:
        """One transaction over all parts: all that the block writes, or nothing. Not held across the network.

        Raises RefusedError when the file cannot be written, RuntimeError inside another `write()`.
        """
        return self._file.write()

    @property
    def note(self) -> str:
        """A sentence where there is no file, or one of an older version; empty otherwise."""
        return self._file.note

    @property
    def orphans(self) -> tuple[str, ...]:
        """Sentences about rows without what they point at, for the command that upgraded an older file."""
        return self._file.orphans

    @property
    def tag(self) -> str:
        """Six hexadecimal digits that tell this ledger's orders from those of every other."""
        return self._file.tag

    @property
    def account(self) -> str | None:
        """The account that it is bound to, None before the first use."""
        account = self._file.value("SELECT value FROM meta WHERE key = 'account'")
        return None if account is None else str(account)

    def bind_account(self, account: str) -> None:
        """Remember the account at first use. Raises RefusedError for another one ever after."""
        if self.account is None and not self._file.read_only:
            with self._file.joined():
                if self.account is None:  # another job may have been faster
                    self._file.insert("meta", {"key": "account", "value": account})
        if self.account not in {None, account}:
            raise RefusedError(
                f"The ledger {self._file.path} belongs to account {self.account}, not to {account}",
                risk="Nothing was sent",
                mend="Log the gateway in to that account, or name another file in storage.database",
            )
