"""What each command's `--help` ends with: examples that can be typed as they stand, and its exit codes.

The command reference and the manual page are written from the same words.
"""

from __future__ import annotations

from typing import NamedTuple


class Usage(NamedTuple):
    """Of one command. `codes`: the exit codes that it may have beside 0, 1 and 2; `done`: what 0 says."""

    examples: tuple[tuple[str, str], ...]
    done: str
    codes: tuple[int, ...]


MEANINGS = {
    1: "a bug: the log has its traceback; look at the broker",
    2: "wrong use of the command line",
    3: "the configuration is invalid",
    4: "the gateway did not answer; nothing is at risk that was not before",
    5: "refused for safety: account, mode, clock or ledger",
    6: "needs you now: look at the broker",
    7: "another job worked too long to wait for",
}
READS, ALL = (3, 4, 5, 6), (3, 4, 5, 6, 7)
LEDGER = (3, 5)

USAGE = {
    "enter": Usage(
        (
            ("spxarb enter --dry-run", "every check with its reason; sends nothing"),
            ("spxarb enter", "one attempt, as the timer makes it"),
        ),
        "entered, or no entry today, and why",
        ALL,
    ),
    "monitor": Usage(
        (
            ("spxarb monitor", "look after what is open, as the timer does"),
            ("spxarb monitor --dry-run", "what it would close; sends nothing"),
        ),
        "held, closed, or nothing open",
        ALL,
    ),
    "settle": Usage(
        (
            ("spxarb settle", "after the close, as the timer does"),
            ("spxarb settle --date 2026-02-10", "an earlier day, whose summary it writes anew"),
        ),
        "settled; the figures may be provisional until the next morning",
        ALL,
    ),
    "close-all": Usage(
        (
            ("spxarb close-all --dry-run", "what it would close; sends nothing"),
            ("spxarb close-all", "asks first"),
            ("spxarb close-all --yes", "does not ask"),
        ),
        "closed, or nothing was open",
        ALL,
    ),
    "start": Usage((("spxarb start", "from now on `enter` may enter"),), "entries are allowed", LEDGER),
    "stop": Usage(
        (('spxarb stop --reason "CPI day"', "no entry until `spxarb start`; exits go on"),),
        "entries are forbidden",
        LEDGER,
    ),
    "status": Usage(
        (
            ("spxarb status", "account, prices, positions, the day so far"),
            ("spxarb status --watch", "the same, drawn again until Ctrl-C"),
            ("spxarb status --offline", "from the ledger alone, at once"),
        ),
        "shown",
        READS,
    ),
    "report": Usage(
        (
            ("spxarb report --since 2026-01-01", "trades, days and statistics of this year"),
            ("spxarb report --day 2026-02-10 --explain", "what happened on a day, and why"),
            ("spxarb report --csv --output trades.csv", "one row a trade, for a spreadsheet"),
        ),
        "shown or written",
        LEDGER,
    ),
    "log": Usage(
        (
            ("spxarb log", "the latest day's commands, and what came of each"),
            ("spxarb log --day 2026-02-10 -n 5", "the last five of a day"),
        ),
        "shown",
        LEDGER,
    ),
    "config": Usage(
        (
            ("spxarb config", "every setting in force, and where it came from"),
            ("spxarb config --example", "a configuration to begin with"),
        ),
        "shown",
        LEDGER,
    ),
    "reconcile": Usage(
        (
            ("spxarb reconcile --statement activity.xml", "compares; reads only"),
            ("spxarb reconcile --statement activity.xml --supply", "writes what the ledger lacks; asks"),
            ("spxarb reconcile --fetch", "from IB's Flex web service"),
        ),
        "nothing differs",
        ALL,
    ),
    "doctor": Usage(
        (
            ("spxarb doctor", "the whole set-up; sends no order"),
            ("spxarb doctor --margin", "also what one spread needs, by what-if orders"),
        ),
        "nothing failed",
        READS,
    ),
    "backup": Usage((("spxarb backup", "a verified copy, while jobs run"),), "written", LEDGER),
    "restore": Usage(
        (
            (
                "spxarb restore --check spxarb-2026-02-10.tar.gz",
                "restores elsewhere, compares, changes nothing",
            ),
            ("spxarb restore spxarb-2026-02-10.tar.gz", "puts it in the ledger's place"),
        ),
        "restored, or the copy is good",
        ALL,
    ),
    "timers": Usage(
        (
            ("spxarb timers install --dry-run", "what it would write, and when they fire"),
            ("sudo spxarb --config /etc/spxarb/config.yaml timers install", "the machine's timers"),
            ("spxarb timers", "each timer, and where it is not as configured"),
        ),
        "installed, removed or shown",
        LEDGER,
    ),
    "send-alerts": Usage(
        (("spxarb send-alerts", "what waits in the ledger, as its unit sends it"),),
        "nothing waits any more",
        LEDGER,
    ),
    "ack": Usage(
        (
            ("spxarb ack", "the open matters, with their numbers"),
            ('spxarb ack 3 --note "closed the shares"', "matter 3 is dealt with"),
        ),
        "listed or acknowledged",
        (3, 5, 7),
    ),
    "hand-over": Usage(
        (("spxarb hand-over 1", "trade 1 is yours; its orders are cancelled"),),
        "handed over, with proof that nothing of ours works in it",
        ALL,
    ),
    "watchdog": Usage(
        (("spxarb watchdog", "exit 6 where something is open and nobody looks after it"),),
        "nothing is open, or it is looked after",
        (3, 5, 6),
    ),
    "record": Usage(
        (
            ("spxarb record --output 2026-02-10.csv.gz", "until the close"),
            ("spxarb record --output morning.csv.gz --until 10:00", "the entry window alone"),
        ),
        "recorded",
        (3, 4, 5),
    ),
    "sim": Usage(
        (
            ("spxarb sim --regime rich-spy --port 4010 --control 4011 --at 09:35 --speed 0", "stands still"),
            ("spxarb sim set-time 15:45 --control 4011", "moves its clock, from another terminal"),
            ("spxarb sim step 5m --control 4011", "moves it by five minutes"),
        ),
        "ended, or the clock was moved",
        (4,),
    ),
    "demo": Usage((("spxarb demo", "about a minute, in a sandbox that is removed"),), "played", ()),
}
ROOT = (
    ("spxarb demo", "a whole simulated day"),
    ("spxarb doctor", "is everything set up?"),
    ("spxarb enter --dry-run", "what would it do now?"),
    ("spxarb status", "where do I stand?"),
)
"""Examples of the program itself."""


def codes_of(command: str) -> list[tuple[int, str]]:
    """The exit codes of a command, each with what it says; of an unknown command all of them."""
    usage = USAGE.get(command)
    done, own = (usage.done, usage.codes) if usage else ("done", ALL)
    return [(0, done), *((code, MEANINGS[code]) for code in sorted({1, 2, *own}))]


def epilog(command: str) -> str:
    """The end of a command's `--help`. A backspace before a paragraph keeps its lines as they are."""
    usage = USAGE.get(command)
    parts = [_examples(usage.examples if usage else ())]
    parts.append("\n".join(["\b\nExit codes:", *(f"  {code}  {says}" for code, says in codes_of(command))]))
    return "\n\n".join(filter(None, parts))


def root_epilog() -> str:
    """The end of `spxarb --help`."""
    codes = [f"  {code}  {says}" for code, says in ((0, "done"), *MEANINGS.items())]
    return "\n\n".join([_examples(ROOT), "\n".join(["\b\nExit codes:", *codes])])


def _examples(examples: tuple[tuple[str, str], ...]) -> str:
    if not examples:
        return ""
    width = max(len(line) for line, _ in examples)
    if width + max(len(says) for _, says in examples) > LINE:
        lines = [text for line, says in examples for text in (f"  {line}", f"      {says}")]
    else:
        lines = [f"  {line:<{width}}  {says}" for line, says in examples]
    return "\n".join(["\b\nExamples:", *lines])


LINE = 74
"""Letters of an example and of what it does that fit a line of 80 columns."""
