"""Reading the project's Markdown: blocks, prose, tables, anchors."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language ('' for those without one)."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text_of(document), re.MULTILINE | re.DOTALL)
    return [body for name, body in fences if name == language]


def prose(document: Path) -> str:
    """Without fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(document), flags=re.MULTILINE | re.DOTALL)


def spans(document: Path) -> list[str]:
    """What stands between backticks outside of fenced blocks."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(document))]


def tables(document: Path, first_head: str) -> list[list[list[str]]]:
    """Every table whose head begins with `first_head`: its rows below the head, as cells."""
    pattern = rf"^\| {re.escape(first_head)} \|.*\n\|[-|]+\|\n((?:\|.*\|\n)+)"
    found = re.findall(pattern, text_of(document), re.MULTILINE)
    assert found, f"{document.name} has no table of {first_head!r}"
    return [
        [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in body.splitlines()]
        for body in found
    ]


def table(document: Path, first_head: str) -> list[list[str]]:
    """The rows of the first such table."""
    return tables(document, first_head)[0]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
