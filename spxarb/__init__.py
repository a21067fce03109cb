"""One documented SPX/SPY 0DTE strategy at Interactive Brokers, from timers, with one ledger."""

__version__ = "0.1.0"
