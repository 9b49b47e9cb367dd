"""`python -m mpcc.compiler.cli` is `mpcc`."""

import sys

from mpcc.compiler.cli import main

sys.exit(main())
