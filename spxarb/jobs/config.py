"""`config`: every setting, its value and where it comes from; or the example of a file to begin with.

It needs no valid configuration, opens no ledger and makes no file.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import spxarb
from spxarb.config.load import invalid, read
from spxarb.config.origins import files_of, settings_of
from spxarb.core.model import NEW_YORK
from spxarb.core.results.config import ConfigResult

EXAMPLES = Path(spxarb.__file__).parent / "examples"


def run(config_file: Path | None) -> ConfigResult:
    """What is in force, with exit code 3 where no command would begin with it."""
    reading = read(config_file)
    config, stopping = reading.config, reading.stopping()
    error = invalid(reading.sources.file, reading.problems) if stopping else None
    foreign = ", ".join(reading.sources.foreign)
    told = [f"Not spxarb's, and not read, in {reading.sources.env_file}: {foreign}."] if foreign else []
    return ConfigResult(
        "config",
        datetime.now(NEW_YORK),
        None if "trading.mode" in {problem.key for problem in stopping} else config.trading.mode,
        exit_code=int(error.exit_code) if error else 0,
        error=str(error) if error else None,
        notes=(*config.overruled, *config.advice, *told),
        settings=settings_of(reading),
        files=files_of(reading),
        problems=tuple(map(str, reading.problems)),
        unknown=reading.sources.foreign,
    )


def example(*, env: bool) -> ConfigResult:
    """The text of the example of a YAML file, or of a `.env`."""
    name = "env.example" if env else "config.example.yaml"
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    return ConfigResult("config", datetime.now(NEW_YORK), None, example=text)
