"""The scripts are no package: as when one runs, they find each other in their folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks" / "evidence"))
