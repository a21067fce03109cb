"""``python -m spxarb``: the same as the ``spxarb`` command."""

import sys

from spxarb.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
