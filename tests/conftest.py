"""Settings of Hypothesis for every test.

`gate` is the default: the same examples each time, and no deadline, because the wall clock of a
busy machine says nothing about the code. `--hypothesis-profile=explore` looks further.
"""

from hypothesis import settings

settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile("gate")
