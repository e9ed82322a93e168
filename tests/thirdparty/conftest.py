"""These distributions have test suites of their own, which need them installed.

`tests/integration/test_third_party_backend.py` installs them and runs those.
"""

collect_ignore_glob = ["*"]
