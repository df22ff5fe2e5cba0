"""``python -m anchorstream`` is the same as ``anchorstream``."""

import sys

from anchorstream.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
