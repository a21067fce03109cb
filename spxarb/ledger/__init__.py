"""The ledger: one SQLite file for one mode and account, the only memory between two commands."""
