"""A backup as one file: a gzipped tar of the ledger, the configuration and the log, with a list of digests.

Any tar reads it. Nothing in it is believed before its digest is compared, and nothing is unpacked by the
names that it gives.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import time
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING

from spxarb import files
from spxarb.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LEDGER, CONFIG, DOTENV, LOG, MANIFEST = "trading.db", "config.yaml", ".env", "trading.log", "manifest.json"
MEMBERS = (MANIFEST, LEDGER, CONFIG, DOTENV, LOG)
FORMAT = 1
MOST_BYTES = 4_000_000_000
"""No member may be larger: a damaged header must not fill the disk."""
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, KeyError, TypeError)


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself. `digest` is that of the ledger's content, `files` have SHA-256 each."""

    format: int
    program: str
    made_at: str
    mode: str
    account: str | None
    tag: str
    version: int
    digest: str
    files: dict[str, str]
    left_out: tuple[str, ...]


def pack(target: Path, manifest: Manifest, ledger: Path, texts: Mapping[str, bytes]) -> None:
    """Write the backup at `target`, 0600, whole or not at all. Raises OSError, FileExistsError."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with os.fdopen(files.open_to_write(part, new=True), "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
                _add(tar, MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
                with ledger.open("rb") as content:
                    tar.addfile(_member(LEDGER, ledger.stat().st_size), content)
                for name, text in texts.items():
                    _add(tar, name, text)
            file.flush()
            os.fsync(file.fileno())
        files.name_finished(part, target)
        files.sync_folder(target.parent)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_member(name, len(content)), io.BytesIO(content))


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(time.time())
    return info


def unpack(path: Path, ledger: Path) -> Manifest:
    """The backup's ledger into the new file `ledger`; every member's digest is compared.

    Raises RefusedError for what is no backup, or a damaged one, OSError.
    """
    found: dict[str, str] = {}
    manifest: Manifest | None = None
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                if member.name not in MEMBERS or not member.isreg() or member.size > MOST_BYTES:
                    raise no_backup(path, f"it holds {member.name!r}")
                content = tar.extractfile(member)
                assert content is not None  # a regular file has content
                if member.name == MANIFEST:
                    manifest = _read(path, content.read())
                    continue
                found[member.name] = _copied(content, ledger if member.name == LEDGER else None)
    except RefusedError:
        raise
    except _DAMAGE as error:
        raise _damaged(path, str(error) or type(error).__name__) from error
    if manifest is None or LEDGER not in found:
        raise _damaged(path, "it is not complete")
    wrong = [name for name in manifest.files if found.get(name) != manifest.files[name]]
    if wrong:
        raise _damaged(path, f"the digest of {', '.join(wrong)} is another")
    return manifest


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_bytes(content: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(content).hexdigest()


def _nowhere() -> int:
    return os.open(os.devnull, os.O_WRONLY)


def _copied(content: IO[bytes], target: Path | None) -> str:
    """Read a member to its end, into `target` if there is one; its SHA-256."""
    total = hashlib.sha256()
    with os.fdopen(files.open_to_write(target, new=True) if target else _nowhere(), "wb") as file:
        while block := content.read(1 << 20):
            total.update(block)
            file.write(block)
        if target:
            file.flush()
            os.fsync(file.fileno())
    return total.hexdigest()


def _read(path: Path, text: bytes) -> Manifest:
    values = json.loads(text)
    if values["format"] > FORMAT:
        raise RefusedError(
            f"{path} was made by a newer spxarb ({values['program']})",
            risk="Nothing was changed",
            mend="Install that version and run this again",
        )
    kept = {name: values[name] for name in Manifest.__dataclass_fields__}
    return Manifest(**{**kept, "left_out": tuple(kept["left_out"])})


def no_backup(path: Path, why: str) -> RefusedError:
    return RefusedError(
        f"{path} is no backup of spxarb: {why}",
        risk="Nothing was changed",
        mend="Name a file that `spxarb backup` made, or a copy of the ledger",
    )


def _damaged(path: Path, why: str) -> RefusedError:
    return RefusedError(
        f"The backup {path} is damaged: {why}", risk="Nothing was changed", mend="Take another backup"
    )
