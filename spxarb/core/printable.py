r"""Text from outside (the broker, a file, the command line, the configuration) as it may be shown and kept.

It may hold anything: newlines that forge a line of the log, escapes that steer a terminal, marks that turn
the direction of writing, letters that nobody sees, a megabyte. What is left of it can be read: letters of
every language, dashes, currency signs.
"""

from __future__ import annotations

import re

MOST = 500
"""Characters of a text from outside; the longest refusals of IBKR have some 400."""
ERROR_MOST = 20_000
"""Characters of what a command says of itself: a configuration may have a hundred problems."""
LOG_MOST = 4_000
"""Characters of one line of the log: our own sentences, each with a text from outside in it."""
LONG_WORD = 300
"""Letters of a word of the command line; of one that is longer the first `WORD_SHOWN` are told."""
WORD_SHOWN = 60
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI: colours, the cursor
    r"|\x9b[0-?]*[ -/]*[@-~]?"  # the same in one byte
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC: titles, links
    r"|\x1b[ -/]*[0-~]?"
)
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(
    chr(code)
    for first, last in ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
    for code in range(first, last + 1)
)
"""Letters and marks to Unicode, and yet nothing to see: fillers, joiners, variation selectors."""
_UNICODE = re.compile(r"\\u([0-9a-fA-F]{4})")


def is_plain(text: str, most: int = MOST) -> bool:
    """Whether nothing need be done to it; most texts are so."""
    return len(text) <= most and text.isascii() and text.isprintable()


def from_outside(text: str, most: int = MOST, *, words: bool = True) -> str:
    """The text in one line, without what cannot be seen, `most` characters long at the most.

    `words`: blanks in a row become one, as in a sentence; else each letter stays where it is, as in a name.
    """
    if len(text) > 4 * most + 1000:
        text = text[: 4 * most + 1000]
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_seen, _ESCAPES.sub("", text)))
    if words:
        text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def lines_from_outside(text: str, most: int = ERROR_MOST) -> str:
    """As `from_outside`, of a text whose lines stay lines, each `most` characters long at the most."""
    if is_plain(text, most):
        return text
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(from_outside(line, most, words=False) for line in whole.split("\n"))


def quoted_back(text: str) -> str:
    """A mistake of the command line as it is told to whoever typed it: nothing endless is echoed."""
    told = (word if len(word) <= LONG_WORD else f"{word[:WORD_SHOWN]}…" for word in text.split(" "))
    return from_outside(" ".join(told), 2 * MOST)


def _seen(letter: str) -> str:
    if letter.isspace():
        return " "
    return letter if letter.isprintable() and letter not in _UNSEEN else ""


def unescaped(text: str) -> str:
    r"""With the letters for which \uXXXX stands; half of a pair stands for none."""
    if "\\u" not in text:
        return text
    found = _UNICODE.sub(lambda code: chr(int(code[1], 16)), text)
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def log_line(text: str) -> str:
    """What one record of the log says, in one line."""
    return text if is_plain(text, LOG_MOST) else from_outside(text, LOG_MOST)


def log_lines(text: str) -> str:
    """A traceback: its lines, none of which passes for a record."""
    return "\n".join(f"  {from_outside(line, LOG_MOST, words=False)}" for line in text.splitlines()[:400])
