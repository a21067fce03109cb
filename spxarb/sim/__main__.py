"""``python -m spxarb.sim``: the simulated gateway as a program of its own."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from datetime import date
from pathlib import Path

from spxarb.sim.server import Listening, SimOptions, serve


def parser() -> argparse.ArgumentParser:
    """The options; their defaults are those of `SimOptions`."""
    default = SimOptions()
    command_line = argparse.ArgumentParser(
        "python -m spxarb.sim", description="A simulated gateway on loopback.", allow_abbrev=False
    )
    add = command_line.add_argument
    add("--host", default=default.host, help="loopback address to listen on (default %(default)s)")
    add(
        "--port",
        type=int,
        default=default.port,
        help="port for clients, 0 takes a free one (default %(default)s)",
    )
    add(
        "--control",
        dest="control_port",
        type=int,
        default=0,
        help="port for the control, 0 takes a free one (default)",
    )
    add("--day", dest="day_file", type=Path, help="recorded day to play (csv, csv.gz)")
    add("--trust-last", action="store_true", help="take its last trades for quotes, one step to each side")
    add(
        "--date",
        type=date.fromisoformat,
        help="date of the synthetic day (default today or the next trading day)",
    )
    add("--seed", type=int, default=default.seed, help="seed of the synthetic day (default %(default)s)")
    add("--regime", default=default.regime, help="kind of synthetic day (default %(default)s)")
    add("--at", default=default.at, help="New York time at which the clock starts (default %(default)s)")
    add(
        "--speed",
        type=float,
        default=default.speed,
        help="market seconds per second, 0 stands still (default 1)",
    )
    add("--account", default=default.account, help="account id (default %(default)s)")
    add("--cash", type=float, default=default.cash, help="cash at the start, dollars (default %(default)s)")
    add(
        "--margin",
        choices=("reg-t", "portfolio"),
        default=default.margin,
        help="margin rules (default %(default)s)",
    )
    add("--faults", type=Path, help="script of what goes wrong (YAML)")
    add("--wire", type=Path, help="recorded wire to play back instead of a simulated day")
    add("--json", action="store_true", help="print where it listens as one line of JSON")
    add(
        "--end-with-input",
        action="store_true",
        help="end when standard input ends, as with a parent that died",
    )
    return command_line


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped. Exit 0 after a stop, 2 when options make no sense or a port is taken."""
    options = vars(parser().parse_args(arguments))
    as_json, end_with_input = options.pop("json"), options.pop("end_with_input")
    if end_with_input:
        threading.Thread(target=_end_with_input, daemon=True).start()

    def announce(listening: Listening) -> None:
        sys.stdout.write((json.dumps(asdict(listening)) if as_json else str(listening)) + "\n")
        sys.stdout.flush()

    try:
        serve(SimOptions(**options), announce)
    except (ValueError, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0


def _end_with_input() -> None:
    """Ask this process to end once standard input is at its end."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
