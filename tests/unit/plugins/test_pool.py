"""One open backend per URL and event loop: opened once, counted, closed once."""

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durabletask.backend import Backend
from durabletask.errors import (
    ArgumentTypeError,
    BackendNotFoundError,
    BackendUnavailableError,
    BackendUrlError,
    ConfigurationError,
)
from durabletask.plugins import SharedBackend, connect, pool


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def call(shared: SharedBackend) -> Backend:
    """One call of a client that nobody closes."""
    async with shared.borrow() as backend:
        return backend


# --- the handle --------------------------------------------------------------------------------


def test_a_handle_needs_no_loop_and_opens_nothing(site: Any) -> None:
    """A client may be a global of its module."""
    shared = SharedBackend("site://me:hunter2@host", task_hub_name="eu")
    assert repr(shared) == "SharedBackend('site://***@host?task_hub=eu')"
    assert site.built == []


@pytest.mark.parametrize(
    ("arguments", "kind", "error"),
    [
        ({"url": "nonsense"}, BackendUrlError, "malformed backend URL: it must read "),
        ({"url": "nonsense://"}, BackendNotFoundError, "no backend for 'nonsense' URLs is "),
        ({"url": 7}, ArgumentTypeError, "a backend URL is a str, not int"),
        ({"backend": 7}, ArgumentTypeError, "backend= takes a Backend, not int"),
        ({"task_hub_name": "a b"}, BackendUrlError, "'a b' is no name for a task hub"),
    ],
)
def test_handles_are_refused_early(arguments: Any, kind: type[Exception], error: str) -> None:
    """When the client is made, not when it is used."""
    with pytest.raises(kind) as caught:
        SharedBackend(**arguments)
    assert str(caught.value).startswith(error)


def test_a_handle_takes_one_of_url_and_backend(site: Any) -> None:
    """A backend has its place and hub already."""
    backend = connect("site://")
    either = (
        "a Backend object has its place and its task hub already: give either backend=, or a URL "
        "and task_hub_name="
    )
    for arguments in {"url": "site://"}, {"task_hub_name": "eu"}:
        with pytest.raises(ConfigurationError) as caught:
            SharedBackend(backend=backend, **arguments)
        assert str(caught.value) == either
    with pytest.raises(ArgumentTypeError) as mistaken:
        SharedBackend(backend)  # type: ignore[arg-type]
    assert str(mistaken.value) == "pass a Backend object as backend=..., not as the URL"


# --- holders -----------------------------------------------------------------------------------


@pytest.mark.asyncio
class TestHolders:
    """Workers, and clients in `async with`."""

    async def test_one_url_is_one_backend(self, site: Any) -> None:
        """However it is written, and through whichever handle."""
        first = await SharedBackend("site://HOST?a=1&b=2").acquire()
        second = await SharedBackend("SITE://host?b=2&a=1").acquire()
        assert first.backend is second.backend
        await first.release()
        assert site.events == ["open 1"]
        await second.release()
        assert site.events == ["open 1", "close 1"]

    async def test_other_urls_are_other_backends(self, site: Any) -> None:
        """Hubs, places and users each have their own."""
        urls = ["site://h", "site://h/x", "site://h?task_hub=b", "site://me:a@h", "site://me:b@h"]
        leases = [await SharedBackend(url).acquire() for url in urls]
        assert len({id(lease.backend) for lease in leases}) == len(urls)
        for lease in leases:
            await lease.release()

    async def test_release_is_idempotent(self, site: Any) -> None:
        """A lease counts once, however often it is given back."""
        shared = SharedBackend("site://")
        first, second = await shared.acquire(), await shared.acquire()
        await first.release()
        await first.release()
        assert site.events == ["open 1"]
        await second.release()
        assert site.events == ["open 1", "close 1"]

    async def test_closed_backends_are_not_used_again(self, site: Any) -> None:
        """The next to come gets a new one, even through the same handle."""
        shared = SharedBackend("site://")
        for _ in range(2):
            await (await shared.acquire()).release()
        assert site.events == ["open 1", "close 1", "open 2", "close 2"]

    async def test_concurrent_first_users_open_once(self, site: Any) -> None:
        """They wait for one opening."""
        shared = SharedBackend("site://")
        leases = await asyncio.gather(*(shared.acquire() for _ in range(5)))
        assert site.events == ["open 1"]
        await asyncio.gather(*(lease.release() for lease in leases))
        assert site.events == ["open 1", "close 1"]

    async def test_newcomers_wait_for_the_closing(self, site: Any) -> None:
        """So two backends of one URL are never open at a time."""
        shared = SharedBackend("site://")
        lease = await shared.acquire()
        closing = asyncio.create_task(lease.release())
        await asyncio.sleep(0)
        await (await shared.acquire()).release()
        await closing
        assert site.events == ["open 1", "close 1", "open 2", "close 2"]

    async def test_the_last_to_leave_hears_of_a_failed_closing(self, site: Any) -> None:
        """And the backend is forgotten all the same."""
        site.closing_error = BackendUnavailableError("cannot close")
        shared = SharedBackend("site://")
        first, second = await shared.acquire(), await shared.acquire()
        await first.release()
        with pytest.raises(BackendUnavailableError, match="cannot close"):
            await second.release()
        site.closing_error = None
        await (await shared.acquire()).release()
        assert site.events[-2:] == ["open 2", "close 2"]


# --- openings that fail or are not waited for --------------------------------------------------


@pytest.mark.asyncio
class TestOpenings:
    """An opening belongs to nobody in particular."""

    async def test_a_failure_is_everybodys(self, site: Any) -> None:
        """Who waits for the same opening gets its error; what was half open is closed."""
        site.opening_error = BackendUnavailableError("no disk")
        shared = SharedBackend("site://")
        outcomes = await asyncio.gather(
            *(shared.acquire() for _ in range(3)), return_exceptions=True
        )
        assert outcomes == [site.opening_error] * 3
        assert site.events == ["fail 1", "close 1"]

    async def test_a_failure_leaves_nothing(self, site: Any) -> None:
        """The next one starts afresh."""
        site.opening_error = BackendUnavailableError("no disk")
        site.closing_error = RuntimeError("not even open")
        shared = SharedBackend("site://")
        for _ in range(2):
            with pytest.raises(BackendUnavailableError, match="no disk"):
                await shared.acquire()
        site.opening_error = site.closing_error = None
        await (await shared.acquire()).release()
        assert site.events[-2:] == ["open 3", "close 3"]

    async def test_a_url_nobody_can_build_leaves_nothing(self, site: Any) -> None:
        """Its error comes at every try."""
        shared = SharedBackend("memory://?size=1")
        for _ in range(2):
            with pytest.raises(BackendUrlError, match="unknown option 'size'"):
                await shared.acquire()

    async def test_a_cancelled_waiter_takes_nothing_from_the_others(self, site: Any) -> None:
        """Though it was the first, which started the opening."""
        site.gate.clear()
        shared = SharedBackend("site://")
        first = asyncio.create_task(shared.acquire())
        second = asyncio.create_task(shared.acquire())
        await settle()
        first.cancel()
        await settle()
        site.gate.set()
        lease = await second
        assert first.cancelled()
        await lease.release()
        assert site.events == ["open 1", "close 1"]

    async def test_an_opening_that_nobody_waits_for_is_closed(self, site: Any) -> None:
        """As soon as it is through."""
        site.gate.clear()
        waiter = asyncio.create_task(SharedBackend("site://").acquire())
        await settle()
        waiter.cancel()
        await settle()
        site.gate.set()
        await settle()
        assert site.events == ["open 1", "close 1"]

    async def test_a_failure_that_nobody_waits_for_is_quiet(self, site: Any) -> None:
        """It was told to nobody because nobody asked."""
        site.gate.clear()
        site.opening_error = BackendUnavailableError("no disk")
        complaints: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context)
        )
        waiter = asyncio.create_task(SharedBackend("site://").acquire())
        await settle()
        waiter.cancel()
        site.gate.set()
        await settle()
        gc.collect()
        assert site.events == ["fail 1", "close 1"]
        assert complaints == []

    async def test_a_cancelled_release_closes_all_the_same(self, site: Any) -> None:
        """The closing is not the releaser's to undo."""
        lease = await SharedBackend("site://").acquire()
        releasing = asyncio.create_task(lease.release())
        await asyncio.sleep(0)
        releasing.cancel()
        await settle()
        assert releasing.cancelled()
        assert site.events == ["open 1", "close 1"]


# --- borrowers ---------------------------------------------------------------------------------


@pytest.mark.asyncio
class TestBorrowers:
    """Clients that nobody closes."""

    @pytest.fixture
    def linger(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        """Sets the length of the linger."""
        return lambda seconds: monkeypatch.setattr(pool, "LINGER", seconds)

    async def test_calls_share_what_a_worker_holds(self, site: Any) -> None:
        """And do not prolong it: the worker's `async with` frees the files."""
        shared = SharedBackend("site://")
        lease = await SharedBackend("site://").acquire()
        assert await call(shared) is lease.backend
        await lease.release()
        assert site.events == ["open 1", "close 1"]

    async def test_a_call_in_progress_is_not_cut_off(self, site: Any) -> None:
        """The worker that leaves meanwhile leaves it the backend."""
        lease = await SharedBackend("site://").acquire()
        async with SharedBackend("site://").borrow():
            await lease.release()
            assert site.events == ["open 1"]

    async def test_calls_in_a_row_open_once(self, site: Any) -> None:
        """The backend lingers."""
        shared = SharedBackend("site://")
        assert await call(shared) is await call(shared)
        assert site.events == ["open 1"]

    async def test_an_idle_backend_is_closed(
        self, site: Any, linger: Callable[[float], None]
    ) -> None:
        """After its linger, counted from the last call."""
        linger(0.5)
        shared = SharedBackend("site://")
        loop = asyncio.get_running_loop()
        last = loop.time()
        for _ in range(3):
            await call(shared)
            last = loop.time()
            await asyncio.sleep(0.05)
        while "close 1" not in site.events:
            assert loop.time() - last < 10
            await asyncio.sleep(0.005)
        assert loop.time() - last >= 0.5
        assert site.events == ["open 1", "close 1"]

    async def test_a_long_call_outlives_the_linger(
        self, site: Any, linger: Callable[[float], None]
    ) -> None:
        """Waiting for an orchestration takes what it takes."""
        linger(0.01)
        shared = SharedBackend("site://")
        await call(shared)
        async with shared.borrow():
            await asyncio.sleep(0.05)
            assert site.events == ["open 1"]
        await asyncio.sleep(0.05)
        assert site.events == ["open 1", "close 1"]

    async def test_a_failed_call_gives_the_backend_back(
        self, site: Any, linger: Callable[[float], None]
    ) -> None:
        """Whatever it raises."""
        linger(0.0)
        with pytest.raises(KeyError):
            async with SharedBackend("site://").borrow():
                raise KeyError
        await asyncio.sleep(0.01)
        await settle()
        assert site.events == ["open 1", "close 1"]


# --- backends that stay ------------------------------------------------------------------------


def test_backends_that_are_not_durable_stay(site: Any) -> None:
    """Closing one would forget what it acknowledged; the end of the loop closes it."""
    site.durable = False

    async def main() -> None:
        shared = SharedBackend("site://")
        lease = await shared.acquire()
        await lease.release()
        assert await call(shared) is lease.backend
        assert site.events == ["open 1"]

    asyncio.run(main())
    assert site.events == ["open 1", "close 1"]


def test_backends_handed_over_stay(site: Any) -> None:
    """They are their owner's to close; only, they do not outlive the loop."""
    backend = connect("site://")

    async def main() -> None:
        lease = await SharedBackend(backend=backend).acquire()
        assert lease.backend is backend
        await lease.release()
        assert await call(SharedBackend(backend=backend)) is backend
        assert site.events == ["open 1"]

    asyncio.run(main())
    assert site.events == ["open 1", "close 1"]


# --- the end of the loop -----------------------------------------------------------------------


def test_the_end_of_the_loop_closes_what_is_open(site: Any) -> None:
    """Held, lingering or lent: nothing stays open behind a loop."""

    async def main() -> None:
        await SharedBackend("site://held").acquire()
        await call(SharedBackend("site://lingering"))
        await SharedBackend("site://lent").borrow().__aenter__()

    asyncio.run(main())
    assert sorted(site.events[3:]) == ["close 1", "close 2", "close 3"]


def test_the_next_loop_opens_anew(site: Any) -> None:
    """Through the same handle."""
    shared = SharedBackend("site://")
    for _ in range(2):
        asyncio.run(call(shared))
    assert site.events == ["open 1", "close 1", "open 2", "close 2"]


def test_tasks_have_ended_before_the_backend_is_closed(site: Any) -> None:
    """A worker that the end of the loop cancels can still use its backend to stop."""

    async def work() -> None:
        lease = await SharedBackend("site://").acquire()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            site.events.append("worker stopped")
            await lease.release()

    async def main() -> None:
        site.worker = asyncio.create_task(work())
        await call(SharedBackend("site://"))

    asyncio.run(main())
    assert site.events == ["open 1", "worker stopped", "close 1"]


@pytest.mark.parametrize("phase", ["opening", "closing"])
def test_the_end_of_the_loop_may_come_at_any_moment(site: Any, phase: str) -> None:
    """In the middle of an opening or a closing too: closed is closed, and nothing hangs."""

    async def main() -> None:
        shared = SharedBackend("site://")
        if phase == "opening":
            site.gate.clear()
            site.task = asyncio.create_task(shared.acquire())
        else:
            lease = await shared.acquire()
            site.task = asyncio.create_task(lease.release())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert site.events == (["close 1"] if phase == "opening" else ["open 1", "close 1"])


def test_a_failed_closing_at_the_end_is_logged(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is left to raise it to, and the other backends are closed all the same."""
    site.closing_error = BackendUnavailableError("cannot close")

    async def main() -> None:
        await call(SharedBackend("site://a"))
        await call(SharedBackend("site://b"))

    asyncio.run(main())
    assert site.events == ["open 1", "open 2", "close 1", "close 2"]
    assert [record.getMessage() for record in caplog.records] == [
        "closing a backend at the end of the loop failed"
    ] * 2


def test_loops_do_not_share(site: Any) -> None:
    """Each thread's loop opens its own, and closes it without looking at the other's."""
    barrier = threading.Barrier(2, timeout=10)
    seen: list[Backend] = []

    async def main() -> None:
        async with SharedBackend("site://").borrow() as backend:
            seen.append(backend)
            await asyncio.to_thread(barrier.wait)

    threads = [threading.Thread(target=asyncio.run, args=[main()]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen[0] is not seen[1]
    assert sorted(site.events) == ["close 1", "close 2", "open 1", "open 2"]


def test_a_loop_that_was_just_closed_is_forgotten(site: Any) -> None:
    """Without its orderly end nobody closes its backends, but the pool keeps nothing of it."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(call(SharedBackend("site://")))
    loop.close()
    asyncio.run(call(SharedBackend("site://")))
    assert site.events == ["open 1", "open 2", "close 2"]
    assert not pool.backend_pool()._loops
    assert not pool.backend_pool()._sentinels


def test_eager_tasks_change_nothing(site: Any) -> None:
    """Tasks that start at once, from Python 3.12 on, open, fail and close as others do."""
    factory = getattr(asyncio, "eager_task_factory", None)

    async def main(use: Callable[[SharedBackend], Awaitable[object]]) -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        shared = SharedBackend("site://")
        await (await shared.acquire()).release()
        site.opening_error = BackendUnavailableError("no disk")
        with pytest.raises(BackendUnavailableError):
            await use(shared)
        site.opening_error = None
        await use(shared)

    asyncio.run(main(call))
    assert site.events == ["open 1", "close 1", "fail 2", "close 2", "open 3", "close 3"]
