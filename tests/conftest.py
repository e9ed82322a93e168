"""Settings of Hypothesis for every test, and the root of the repository on the path.

`gate` is the default: the same examples each time, and no deadline, because the wall clock of a
busy machine says nothing about the code. `--hypothesis-profile=explore` looks further.
"""

import sys
from pathlib import Path

from hypothesis import settings

ROOT = str(Path(__file__).parents[1])

if ROOT not in sys.path:
    sys.path.append(ROOT)  # servers and helpers are modules of tests, found from there

settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile("gate")
