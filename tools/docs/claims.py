"""The table of `docs/paper.md`: what is assumed of a real gateway, written from the claims themselves."""

from __future__ import annotations

from pathlib import Path

from spxarb.core.gateway_claims import CLAIMS

_BEGIN, _END = "<!-- claims -->\n", "<!-- end of claims -->"


def with_claims(text: str) -> str:
    """The document with its table as the claims are now."""
    rows = [f"| `{claim.name}` | {claim.text} | {claim.why} |\n" for claim in CLAIMS]
    table = "".join(["| name | assumed | what rests on it |\n|---|---|---|\n", *rows])
    head, _, rest = text.partition(_BEGIN)
    return f"{head}{_BEGIN}{table}{_END}{rest.partition(_END)[2]}"


def write(folder: Path) -> None:
    """Write it below `folder`, the project's root."""
    path = folder / "docs" / "paper.md"
    path.write_text(with_claims(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write(Path.cwd())
