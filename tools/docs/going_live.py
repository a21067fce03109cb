"""The table of `docs/going-live.md`: how paper shows each fact that live depends on."""

from __future__ import annotations

from pathlib import Path

from spxarb.core.gateway_claims import CLAIMS
from spxarb.core.live_facts import HOW, NOT_NEEDED
from spxarb.core.sentences import upper_first

_BEGIN, _END = "<!-- facts -->\n", "<!-- end of facts -->"


def with_facts(text: str) -> str:
    """The document with its table as the facts are now: a row for each way, in the order of the facts."""
    ways: dict[str, list[str]] = {}
    for claim in CLAIMS:
        if claim.name in HOW:
            ways.setdefault(HOW[claim.name], []).append(f"`{claim.name}`")
    rows = [f"| {', '.join(names)} | {upper_first(how)}. |\n" for how, names in ways.items()]
    rows += [f"| `{name}` | Not waited for: {why}. |\n" for name, why in NOT_NEEDED.items()]
    table = "".join(["| fact | how it is seen |\n|---|---|\n", *rows])
    head, _, rest = text.partition(_BEGIN)
    return f"{head}{_BEGIN}{table}{_END}{rest.partition(_END)[2]}"


def write(folder: Path) -> None:
    """Write it below `folder`, the project's root."""
    path = folder / "docs" / "going-live.md"
    path.write_text(with_facts(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write(Path.cwd())
