"""The examples are run from the repository root, and imported from there."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
