"""Runs blocks of Python for `test_blocks.py`: a JSON object per line in, another one out.

A block may await, and what it defines is there for the next one, as in ``python -m asyncio``.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import json
import os
import sys
import traceback
import types
from typing import Any


def run(block: dict[str, Any], module: types.ModuleType, runner: asyncio.Runner) -> dict[str, Any]:
    """What a block prints, and the text and the traceback of the error that ended it, if any."""
    # With as many lines above it as in the page, so that a traceback names the right one.
    source = "\n" * (block["line"] - 1) + block["code"]
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    error = None
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            code = compile(source, block["page"], "exec", flags=flags, dont_inherit=True)
            result = eval(code, module.__dict__)
            if inspect.iscoroutine(result):
                runner.run(result)
        except Exception as caught:
            error = ["".join(traceback.format_exception_only(caught)), traceback.format_exc()]
    return {"output": output.getvalue(), "error": error}


def main() -> None:
    """Answer until there is nothing more to run."""
    # The module of the page is the main one, so that texts with __main__ in them read as they will.
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    with os.fdopen(os.dup(1), "w") as answers, asyncio.Runner() as runner:
        for line in sys.stdin:
            print(json.dumps(run(json.loads(line), module, runner)), file=answers, flush=True)


if __name__ == "__main__":
    main()
