"""The decorators."""

import pytest

from durabletask import task
from durabletask.errors import RegistrationError
from durabletask.task._decorators import definition_of


def test_a_decorated_function_is_the_same_function():
    """It stays callable and its own; what the decorator says is noted aside."""

    def act(ctx, n):
        return n + 1

    assert task.activity(act) is act
    assert act(None, 1) == 2
    assert definition_of(act).name == "act"
    assert definition_of(act).kind == "activity"


def test_arguments():
    """name=, version= and inline= are kept; without parentheses there are none."""

    @task.activity(name="charge", version="2", inline=True)
    def act(ctx):
        return None

    @task.orchestration(name="order", version="3")
    def orchestrator(ctx):
        return None

    @task.orchestration()
    def empty(ctx):
        return None

    noted = definition_of(act)
    assert (noted.name, noted.version, noted.inline) == ("charge", "2", True)
    noted = definition_of(orchestrator)
    assert (noted.name, noted.version, noted.kind) == ("order", "3", "orchestration")
    assert definition_of(empty).name == "empty"


@pytest.mark.parametrize("decorator", [task.activity, task.orchestration])
def test_misuse_is_named(decorator):
    """A blank name, a name in place of a function, a function without a name."""
    for blank in ("", " ", 5):
        with pytest.raises(RegistrationError, match="visible text"):
            decorator(name=blank)(lambda ctx: None)
    with pytest.raises(RegistrationError, match=r"by keyword: @task\."):
        decorator("name")
    with pytest.raises(RegistrationError, match="no name of its own"):
        decorator(lambda ctx: None)


def test_undecorated_functions_go_by_their_name():
    """Decorators are a convenience, not a condition."""

    def act(ctx):
        return None

    assert definition_of(act).name == "act"
    assert definition_of(act).kind == ""
