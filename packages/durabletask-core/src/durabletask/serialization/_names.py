"""How error texts spell a type."""

from __future__ import annotations

from typing import Any

__all__ = ["type_name"]


def type_name(annotation: Any) -> str:
    """Return the name of a type or annotation, with its module unless it is a builtin."""
    if isinstance(annotation, type):
        module, name = annotation.__module__, annotation.__qualname__
        return name if module == "builtins" else f"{module}.{name}"
    return str(annotation).replace("typing.", "")
