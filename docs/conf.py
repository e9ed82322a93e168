"""The settings of Sphinx, for ``sphinx-build -W -b html docs docs/_build/html``."""

import tomllib
from pathlib import Path

CORE = Path(__file__).parents[1] / "packages/durabletask-core/pyproject.toml"

project = "durabletask"
author = "durabletask contributors"
copyright = "2026, durabletask contributors"
release = tomllib.loads(CORE.read_text("utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "durabletask"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_use_ivar = True
napoleon_use_rtype = False

# The names of documented attributes are taken for references, and many classes have the same.
suppress_warnings = ["ref.python"]
