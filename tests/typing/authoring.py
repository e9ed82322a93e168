"""What type checkers see of orchestrations, activities and entities. Read by them, never run.

A call that must be refused carries an ignore, which both checkers honour; and both report one that
hides nothing, so the sample also fails when such a call is let through.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, assert_type

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.entities import EntityQuery, EntityState

# --- decorators keep the function's type -------------------------------------------------------


@task.activity
def bare(ctx: task.ActivityContext, number: int) -> str:
    """A plain function, bare decorator."""
    return str(number)


@task.activity(name="called", inline=True)
def called(ctx: task.ActivityContext, number: int) -> str:
    """A plain function, decorator with arguments."""
    return str(number)


@task.activity
async def bare_async(ctx: task.ActivityContext, number: int) -> str:
    """A coroutine, bare decorator."""
    return str(number)


@task.activity(name="called_async", version="2")
async def called_async(ctx: task.ActivityContext, number: int) -> str:
    """A coroutine, decorator with arguments."""
    return str(number)


@task.activity
def no_input(ctx: task.ActivityContext) -> list[int]:
    """A plain function without input."""
    return []


@task.activity
async def no_input_async(ctx: task.ActivityContext) -> list[int]:
    """A coroutine without input."""
    return []


@task.activity
def no_result(ctx: task.ActivityContext, number: int) -> None:
    """A plain function without a result."""


@task.activity
def optional_input(ctx: task.ActivityContext, number: int = 3) -> bytes:
    """A plain function whose input may be left out."""
    return bytes(number)


@task.orchestration
def generator(ctx: task.OrchestrationContext, number: int) -> Generator[task.Task[Any], Any, bytes]:
    """A generator, bare decorator."""
    text = yield ctx.call_activity(bare, input=number)
    return bytes(text, "utf-8")


@task.orchestration(name="coroutine", version="2")
async def coroutine(ctx: task.OrchestrationContext, number: int) -> float:
    """A coroutine, decorator with arguments."""
    return float(await ctx.call_activity(bare, input=number))


@task.orchestration
async def no_input_child(ctx: task.OrchestrationContext) -> float:
    """A coroutine without input."""
    return 1.0


async def called_directly(
    activity_ctx: task.ActivityContext, ctx: task.OrchestrationContext
) -> None:
    """A decorated function is called as if it were not decorated."""
    assert_type(bare(activity_ctx, 1), str)
    assert_type(called(activity_ctx, 1), str)
    assert_type(await bare_async(activity_ctx, 1), str)
    assert_type(await called_async(activity_ctx, 1), str)
    assert_type(generator(ctx, 1), Generator[task.Task[Any], Any, bytes])
    assert_type(await coroutine(ctx, 1), float)


def refused_directly(ctx: task.ActivityContext) -> None:
    """So are its arguments checked."""
    bare(ctx, "1")  # type: ignore[arg-type]
    called(ctx, "1")  # type: ignore[arg-type]


# --- entities ----------------------------------------------------------------------------------


@dataclass
class Cart:
    """A state."""

    items: list[str] = field(default_factory=list)


@task.entity
class Basket(task.DurableEntity):
    """A class, bare decorator."""

    def put(self, item: str) -> int:
        """An operation; what is read has the type asked for."""
        assert_type(self.get_state(Cart), Cart | None)
        assert_type(self.get_state(Cart, None), Cart | None)
        assert_type(self.get_state(int, 0), int)
        assert_type(self.get_state(), Any)
        assert_type(self.get_state(default=3), Any)
        assert_type(self.get_state(list[str], []), list[str])
        cart = self.get_state(Cart, Cart())
        assert_type(cart, Cart)
        cart.items.append(item)
        self.set_state(cart)
        self.signal_entity(CART, "note", item, signal_time=timedelta(days=1))
        assert_type(self.schedule_new_orchestration(coroutine, input=3), str)
        assert_type(self.entity_context, task.EntityContext)
        return len(cart.items)

    async def ask(self) -> str:
        """Another, a coroutine."""
        return self.entity_context.entity_id.key


@task.entity(name="cart")
class NamedBasket(Basket):
    """A class, decorator with arguments."""


@task.entity
def note(ctx: task.EntityContext, text: str) -> None:
    """A function, bare decorator."""
    assert_type(ctx.get_state(list[str], []), list[str])
    assert_type(ctx.get_state(list[str]), list[str] | None)
    assert_type(ctx.caller_id, str | None)
    ctx.set_state([*ctx.get_state(list[str], []), text])
    ctx.delete_state()


@task.entity(name="NOTES")
async def notes(ctx: task.EntityContext, text: str) -> list[str]:
    """A coroutine, decorator with arguments."""
    return ctx.get_state(list[str], [text])


CART = task.EntityId("cart", "ada")


async def entities_directly(ctx: task.EntityContext) -> None:
    """A decorated class or function is what it was."""
    assert_type(Basket().put("pear"), int)
    assert_type(await NamedBasket().ask(), str)
    assert_type(await notes(ctx, "text"), list[str])
    Basket().put(3)  # type: ignore[arg-type]
    note(ctx, 3)  # type: ignore[arg-type]


async def entity_calls(ctx: task.OrchestrationContext) -> None:
    """A call has the type asked for, a lock is what is left, a signal gives nothing."""
    assert_type(ctx.call_entity(CART, "put", "pear", return_type=int), task.Task[int])
    assert_type(await ctx.call_entity(CART, "put", input="pear", return_type=int), int)
    assert_type(await ctx.call_entity(CART, "ask"), Any)
    assert_type(ctx.lock_entities([CART]), task.EntityLockTask)
    async with ctx.lock_entities([CART]) as held:
        assert_type(held, task.EntityLock)
    with await ctx.lock_entities({CART}) as lock:
        assert_type(lock, task.EntityLock)
        lock.release()
    ctx.signal_entity(CART, "put", "pear", signal_time=timedelta(hours=1))


def entity_calls_by_yield(
    ctx: task.OrchestrationContext,
) -> Generator[task.Task[Any], Any, None]:
    """The same in a generator."""
    with (yield ctx.lock_entities([CART])):
        yield ctx.call_entity(CART, "put", "pear")


async def refused_entity_calls(ctx: task.OrchestrationContext) -> None:
    """A text or a class for an id, a lock that is not waited for, or by the wrong kind of with."""
    ctx.call_entity("@cart@ada", "put")  # type: ignore[call-overload]
    ctx.call_entity(Basket, "put")  # type: ignore[call-overload]
    ctx.call_entity(CART, Basket.put)  # type: ignore[call-overload]
    ctx.signal_entity(CART, "put", signal_time=3)  # type: ignore[arg-type]
    ctx.lock_entities([str(CART)])  # type: ignore[list-item]
    with ctx.lock_entities([CART]):  # type: ignore[attr-defined]
        pass
    async with await ctx.lock_entities([CART]):  # type: ignore[attr-defined]
        pass


async def clients(client: TaskHubClient) -> None:
    """What a client sees of entities."""
    state = await client.get_entity(CART)
    assert_type(state, EntityState | None)
    if state is not None:
        assert_type(state.locked_by, str | None)
    async for found in client.iter_entities(EntityQuery(name="cart")):
        assert_type(found, EntityState)
    assert_type(await client.clean_entity_storage(), int)
    await client.signal_entity(CART, "put", "pear")
    await client.signal_entity("@cart@ada", "put")  # type: ignore[arg-type]


# --- calls have the type of the result ---------------------------------------------------------


def tasks(ctx: task.OrchestrationContext) -> None:
    """A call of a function is a task of its result; a call by name, of whatever one says."""
    assert_type(ctx.call_activity(bare, input=1), task.Task[str])
    assert_type(ctx.call_activity(activity=called, input=1), task.Task[str])
    assert_type(ctx.call_activity(bare_async, input=1), task.Task[str])
    assert_type(ctx.call_activity(called_async, input=1), task.Task[str])
    assert_type(ctx.call_activity(bare, input=1, return_type=int), task.Task[int])
    assert_type(ctx.call_activity("bare", input=1, return_type=int), task.Task[int])
    assert_type(ctx.call_activity("bare", input=1), task.Task[Any])
    assert_type(ctx.call_sub_orchestration(generator, input=1), task.Task[bytes])
    assert_type(ctx.call_sub_orchestration(coroutine, input=1), task.Task[float])
    assert_type(ctx.call_sub_orchestration("generator", return_type=int), task.Task[int])
    assert_type(ctx.call_sub_orchestration("generator"), task.Task[Any])


def patches(ctx: task.OrchestrationContext) -> None:
    """The answer is yes or no, and the id is text."""
    assert_type(ctx.is_patched("check-for-fraud"), bool)
    ctx.is_patched(7)  # type: ignore[arg-type]


async def activities(ctx: task.OrchestrationContext) -> None:
    """Awaiting an activity gives its result."""
    assert_type(await ctx.call_activity(bare, input=1), str)
    assert_type(await ctx.call_activity(bare_async, input=1), str)
    assert_type(await ctx.call_activity(no_input), list[int])
    assert_type(await ctx.call_activity(no_input_async), list[int])
    assert_type(await ctx.call_activity(optional_input), bytes)
    assert_type(await ctx.call_activity(optional_input, input=4), bytes)
    assert_type(await ctx.call_activity("bare", return_type=int), int)
    assert_type(await ctx.call_activity("bare"), Any)
    nothing: task.Task[None] = ctx.call_activity(no_result, input=1)
    await nothing


async def children(ctx: task.OrchestrationContext) -> None:
    """Awaiting a child gives its result, whatever kind of orchestrator it is."""
    assert_type(await ctx.call_sub_orchestration(generator, input=1), bytes)
    assert_type(await ctx.call_sub_orchestration(coroutine, input=1), float)
    assert_type(await ctx.call_sub_orchestration(no_input_child), float)
    assert_type(await ctx.call_sub_orchestration("generator", return_type=int), int)
    assert_type(await ctx.call_sub_orchestration("generator"), Any)


async def waits(ctx: task.OrchestrationContext) -> None:
    """Events have the type asked for; what is made of tasks has theirs."""
    assert_type(await ctx.wait_for_external_event("go", data_type=int), int)
    assert_type(await ctx.wait_for_external_event("go", return_type=int), int)
    assert_type(await ctx.wait_for_external_event("go"), Any)
    timer = ctx.create_timer(timedelta(days=1))
    assert_type(timer, task.TimerTask)
    assert_type(timer.cancel(), bool)
    texts = [ctx.call_activity(bare, input=number) for number in range(3)]
    assert_type(await task.when_all(texts), list[str])
    winner = await task.when_any([timer, texts[0]])
    assert_type(winner, task.Task[Any])


# --- wrong inputs are errors -------------------------------------------------------------------


def refused(ctx: task.OrchestrationContext) -> None:
    """An input that the function does not take, none where it needs one, no task at all."""
    ctx.call_activity(bare, input="x")  # type: ignore[arg-type]
    ctx.call_activity(called, input="x")  # type: ignore[arg-type]
    ctx.call_activity(bare_async, input="x")  # type: ignore[arg-type]
    ctx.call_activity(called_async, input="x")  # type: ignore[arg-type]
    ctx.call_activity(optional_input, input="x")  # type: ignore[arg-type]
    ctx.call_activity(bare)  # type: ignore[arg-type]
    ctx.call_activity(bare_async)  # type: ignore[arg-type]
    ctx.call_sub_orchestration(generator, input="x")  # type: ignore[arg-type]
    ctx.call_sub_orchestration(coroutine, input="x")  # type: ignore[arg-type]
    ctx.call_sub_orchestration(generator)  # type: ignore[arg-type]
    ctx.create_timer(3)  # type: ignore[arg-type]
    ctx.wait_for_external_event("go", timeout=3)  # type: ignore[call-overload]
    task.when_all([1, 2])  # type: ignore[arg-type]
