"""Blocking calls: what happens with loops, threads, forks, signals and the end of the process."""

from __future__ import annotations

import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from agentbay import _bridge, _loop

LIMIT = 30

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals or fork")


@pytest.fixture(autouse=True)
def _stop_the_loop() -> Iterator[None]:
    yield
    _bridge.shutdown()


async def double(value: int) -> int:
    await anyio.lowlevel.checkpoint()
    return 2 * value


class Log(list[str]):
    """A context manager and an iterator that write down what happens to them."""

    @asynccontextmanager
    async def opened(self, value: int = 1) -> AsyncGenerator[int, None]:
        self.append("entered")
        try:
            yield value
        except ZeroDivisionError:
            self.append("error seen")
            raise
        finally:
            await anyio.lowlevel.checkpoint()
            self.append("left")

    async def numbers(self, count: int) -> AsyncIterator[int]:
        try:
            # A scope that stays open across the items, as a task group would.
            with anyio.CancelScope():
                for number in range(count):
                    await anyio.lowlevel.checkpoint()
                    yield number
        finally:
            await anyio.lowlevel.checkpoint()
            self.append("closed")


class Process:
    """A Python program that runs for a limited time."""

    PRELUDE = """
        import os, sys, threading, time
        import anyio
        from agentbay import _bridge, _loop

        async def double(value):
            await anyio.sleep(0)
            return 2 * value

        async def long(log):
            print("started", flush=True)
            try:
                await anyio.sleep(600)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.05)
                log.append("cleaned")
    """

    def __init__(self, code: str) -> None:
        source = textwrap.dedent(self.PRELUDE) + textwrap.dedent(code)
        self._process = subprocess.Popen(
            # Forking with threads, which is the subject of some tests, warns by itself.
            [sys.executable, "-W", "error", "-W", "ignore:This process", "-c", source],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that its forks can be ended with it
        )

    def interrupt_when(self, line: str) -> None:
        assert self._process.stdout is not None
        for got in self._process.stdout:
            if got.strip() == line:
                break
        self._process.send_signal(signal.SIGINT)

    def _end(self) -> None:
        if sys.platform == "win32":
            self._process.kill()
        else:
            os.killpg(self._process.pid, signal.SIGKILL)

    def lines(self) -> list[str]:
        """What it prints; it has to end well and without complaints."""
        try:
            out, err = self._process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self._end()
            out, err = self._process.communicate(timeout=LIMIT)
            pytest.fail(f"the program hangs: {out}{err}")
        assert (self._process.returncode, err) == (0, ""), out
        return out.splitlines()


# -- calls -------------------------------------------------------------------------------------


def test_a_call_returns_the_result() -> None:
    assert _bridge.call(double, 21) == 42


async def test_a_call_works_inside_a_running_loop() -> None:
    assert _bridge.call(double, 21) == 42


async def test_a_coroutine_called_from_a_loop_knows_its_own_loop() -> None:
    async def limited() -> bool:
        with anyio.move_on_after(0.01) as scope:
            await anyio.Event().wait()
        return scope.cancelled_caught

    assert _bridge.call(limited)


def test_many_threads_share_one_loop() -> None:
    loops: set[int] = set()
    results: list[int] = []

    async def work(value: int) -> int:
        loops.add(threading.get_ident())
        return await double(value)

    def run() -> None:
        results.extend(_bridge.call(work, n) for n in range(10))

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert sorted(results) == sorted([2 * n for n in range(10)] * 16)
    assert len(loops) == 1


def test_the_caller_s_context_is_visible() -> None:
    tenant = contextvars.ContextVar("tenant", default="nobody")

    async def who() -> str:
        return tenant.get()

    assert _bridge.call(who) == "nobody"
    tenant.set("me")
    assert _bridge.call(who) == "me"


def test_a_blocking_call_on_the_shared_loop_fails_at_once() -> None:
    async def nested() -> int:
        return _bridge.call(double, 1)

    with pytest.raises(RuntimeError, match="_async"):
        _bridge.call(nested)
    assert _bridge.call(double, 1) == 2


def test_an_error_shows_the_caller_and_the_culprit_and_no_machinery() -> None:
    async def boom() -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError("deep")

    with pytest.raises(LookupError) as caught:
        _bridge.call(boom)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[0].name == "test_an_error_shows_the_caller_and_the_culprit_and_no_machinery"
    assert frames[-1].name == "boom"
    assert len(frames) <= 4
    assert not [f for f in frames if "anyio" in f.filename or "concurrent" in f.filename]


def test_an_error_keeps_what_it_was_raised_during() -> None:
    async def boom() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise LookupError("second")  # noqa: B904 - the implicit chain is the subject

    with pytest.raises(LookupError) as caught:
        _bridge.call(boom)
    assert isinstance(caught.value.__context__, KeyError)
    assert not caught.value.__suppress_context__


def test_a_handled_error_leaves_no_garbage() -> None:
    class CustomError(Exception):
        pass

    async def boom() -> None:
        raise CustomError

    errors: list[weakref.ref[CustomError]] = []
    gc.disable()
    try:
        try:
            _bridge.call(boom)
        except CustomError as exc:
            errors.append(weakref.ref(exc))
        _bridge.call(double, 1)  # by then the loop has let go of the first call
        assert [error() for error in errors] == [None]
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "error", [SystemExit(3), GeneratorExit(), BaseExceptionGroup("g", [GeneratorExit()])]
)
def test_an_error_that_ends_programs_does_not_end_the_loop(error: BaseException) -> None:
    async def bad() -> None:
        raise error

    bridge = _loop._current()
    with pytest.raises(type(error)):
        _bridge.call(bad)
    assert _bridge.call(double, 1) == 2
    assert _loop._current() is bridge


def test_a_call_after_shutdown_starts_another_loop() -> None:
    assert _bridge.call(double, 1) == 2
    _bridge.shutdown()
    assert _bridge.call(double, 2) == 4


def test_shutdown_cancels_calls_of_other_threads() -> None:
    started = threading.Event()
    errors: list[BaseException] = []

    async def wait() -> None:
        started.set()
        await anyio.sleep(600)

    def run() -> None:
        try:
            _bridge.call(wait)
        except RuntimeError as exc:
            errors.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(LIMIT)
    _bridge.shutdown()
    thread.join(LIMIT)
    assert len(errors) == 1


def test_the_collector_takes_no_call_that_waits() -> None:
    started, log = threading.Event(), Log()

    async def wait() -> None:
        try:
            started.set()
            await anyio.Event().wait()  # nothing but the call knows of this event
        finally:
            log.append("ended")

    def run() -> None:
        with pytest.raises(RuntimeError, match="cancelled"):
            _bridge.call(wait)

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(LIMIT)
    _bridge.call(double, 1)  # by then the other call waits
    gc.collect()
    assert (log, thread.is_alive()) == ([], True)
    _bridge.shutdown()
    thread.join(LIMIT)
    assert (log, thread.is_alive()) == (["ended"], False)


def test_shutdown_and_calls_at_the_same_time_end_or_work() -> None:
    """A call gets its result, or is told that it was cancelled or came too late."""
    told: list[str] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                assert _bridge.call(double, 1) == 2
            except RuntimeError as exc:
                told.append(str(exc))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        _bridge.call(double, 1)
        _bridge.shutdown()
    stop.set()
    for thread in threads:
        thread.join(LIMIT)
    assert not [thread for thread in threads if thread.is_alive()]
    words = ("the call was cancelled", "Event loop is closed", "the event loop of this blocking")
    assert [text for text in told if not text.startswith(words)] == []


# -- callbacks, iterators, context managers ----------------------------------------------------


def test_a_blocking_callback_may_make_blocking_calls() -> None:
    def callback(value: int) -> int:
        assert threading.current_thread().name != "agentbay-sync"
        return _bridge.call(double, value)

    async def notify() -> int:
        return await _bridge.as_async(callback)(4)

    assert _bridge.call(notify) == 8


def test_an_iterator_gives_all_items_and_closes() -> None:
    log = Log()
    assert list(_bridge.iterate(log.numbers(5))) == [0, 1, 2, 3, 4]
    assert log == ["closed"]


def test_an_abandoned_iterator_is_closed_with_time_to_clean_up() -> None:
    log = Log()
    for number in _bridge.iterate(log.numbers(10**9)):
        if number == 3:
            break
    gc.collect()
    assert log == ["closed"]


def test_an_iterator_makes_no_item_before_it_is_asked_for() -> None:
    made: list[int] = []

    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            made.append(number)
            yield number

    items = _bridge.iterate(numbers())
    next(items)
    _bridge.call(anyio.sleep, 0)
    assert made == [0]
    assert list(items) == [1, 2]


def test_an_error_in_an_iterator_reaches_the_loop_over_it() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise LookupError("mid-stream")

    items = _bridge.iterate(broken())
    assert next(items) == 1
    with pytest.raises(LookupError, match="mid-stream"):
        next(items)


def test_an_iterator_collected_on_the_shared_loop_does_not_block_it() -> None:
    log = Log()
    box = [_bridge.iterate(log.numbers(10**9))]
    next(box[0])

    async def drop() -> None:
        box.clear()
        gc.collect()
        with anyio.fail_after(LIMIT):
            while log != ["closed"]:
                await anyio.lowlevel.checkpoint()

    _bridge.call(drop)


def test_a_block_enters_and_leaves_in_one_task() -> None:
    log = Log()
    with _bridge.enter(log.opened(7)) as value:
        assert (value, log) == (7, ["entered"])
    assert log == ["entered", "left"]


def test_an_error_in_the_body_passes_through_the_manager() -> None:
    log = Log()
    with pytest.raises(ZeroDivisionError), _bridge.enter(log.opened()):
        _ = 1 // 0
    assert log == ["entered", "error seen", "left"]


def test_a_manager_may_swallow_an_error() -> None:
    @asynccontextmanager
    async def forgiving() -> AsyncGenerator[None, None]:
        with pytest.raises(KeyError):
            yield

    with _bridge.enter(forgiving()):
        raise KeyError


def test_an_error_while_entering_is_raised() -> None:
    @asynccontextmanager
    async def closed() -> AsyncGenerator[None, None]:
        raise LookupError("no entry")
        yield

    with pytest.raises(LookupError, match="no entry"), _bridge.enter(closed()):
        pytest.fail("the body ran")


def test_a_mapped_manager_gives_the_mapped_value() -> None:
    log = Log()
    mapped: AbstractAsyncContextManager[str] = _bridge.mapped(log.opened(7), str)
    with _bridge.enter(mapped) as value:
        assert value == "7"
    assert log == ["entered", "left"]


# -- Ctrl-C ------------------------------------------------------------------------------------


@posix_only
def test_ctrl_c_cancels_the_call_and_waits_for_its_cleanup() -> None:
    program = Process("""
        log = []
        try:
            _bridge.call(long, log)
        except KeyboardInterrupt:
            print("interrupted", log)
        print(_bridge.call(double, 1))
    """)
    program.interrupt_when("started")
    assert program.lines() == ["interrupted ['cleaned']", "2"]


@posix_only
def test_ctrl_c_does_not_wait_for_ever_for_cleanup() -> None:
    program = Process("""
        _loop.GRACE = 0.2
        async def stubborn():
            with anyio.CancelScope(shield=True):
                print("started", flush=True)
                await anyio.sleep(600)
        try:
            _bridge.call(stubborn)
        except KeyboardInterrupt:
            print("interrupted")
    """)
    program.interrupt_when("started")
    assert program.lines() == ["interrupted"]


@posix_only
def test_ctrl_c_while_entering_cancels_the_entry() -> None:
    program = Process("""
        from contextlib import asynccontextmanager
        log = []
        @asynccontextmanager
        async def slow():
            await long(log)
            yield
        try:
            with _bridge.enter(slow()):
                print("entered")
        except KeyboardInterrupt:
            print("interrupted", log)
    """)
    program.interrupt_when("started")
    assert program.lines() == ["interrupted ['cleaned']"]


@posix_only
def test_ctrl_c_during_an_iteration_closes_the_iterator() -> None:
    program = Process("""
        log = []
        async def events():
            yield 1
            await long(log)
        try:
            for event in _bridge.iterate(events()):
                print(event)
        except KeyboardInterrupt:
            print("interrupted", log)
    """)
    program.interrupt_when("started")
    assert program.lines() == ["interrupted ['cleaned']"]


@posix_only
def test_ctrl_c_at_any_point_of_a_block_leaves_nothing_behind() -> None:
    """Raise KeyboardInterrupt at each line event of `enter` in turn, body included."""
    program = Process("""
        from contextlib import asynccontextmanager
        open_now = set()
        @asynccontextmanager
        async def sandbox(number):
            open_now.add(number)
            try:
                await anyio.sleep(0)
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0)
                open_now.discard(number)

        _bridge.call(double, 1)
        ours = {"agentbay._bridge", "agentbay._loop"}
        interrupted = 0
        for point in range(10_000):
            left = point
            fired = False
            def trace(frame, event, arg):
                global left, fired
                if fired or frame.f_globals["__name__"] not in ours:
                    return None
                left -= 1
                if left < 0:
                    fired = True
                    raise KeyboardInterrupt
                return trace
            block = _bridge.enter(sandbox(point))
            sys.settrace(trace)
            try:
                with block:
                    pass
            except KeyboardInterrupt:
                interrupted += 1
            finally:
                sys.settrace(None)
            del block
            deadline = time.monotonic() + 10
            while point in open_now and time.monotonic() < deadline:
                _bridge.call(anyio.sleep, 0)
            if point in open_now:
                print("left behind at point", point)
            if not fired:
                break
        print("done", interrupted > 40)
    """)
    assert program.lines() == ["done True"]


# -- fork --------------------------------------------------------------------------------------


@posix_only
def test_a_forked_child_has_its_own_loop() -> None:
    program = Process("""
        _bridge.call(double, 1)
        child = os.fork()
        if child == 0:
            print("child", _bridge.call(double, 2), flush=True)
            sys.exit()
        print("status", os.waitpid(child, 0)[1], flush=True)
        print("parent", _bridge.call(double, 3))
    """)
    assert program.lines() == ["child 4", "status 0", "parent 6"]


@posix_only
def test_a_fork_while_the_loop_is_being_started_does_not_block_the_child() -> None:
    program = Process("""
        from agentbay import _loop
        held, done = threading.Event(), threading.Event()
        def hold():
            with _loop._lock:
                held.set()
                done.wait(10)
        threading.Thread(target=hold).start()
        held.wait(10)
        child = os.fork()
        if child == 0:
            print("child", _bridge.call(double, 2), flush=True)
            os._exit(0)
        print("status", os.waitpid(child, 0)[1], flush=True)
        done.set()
    """)
    assert program.lines() == ["child 4", "status 0"]


@posix_only
def test_a_forked_child_leaves_the_parent_s_block_and_iterator_alone() -> None:
    program = Process("""
        from contextlib import asynccontextmanager
        @asynccontextmanager
        async def sandbox():
            yield
            print("closed by", os.getpid() == parent, flush=True)
        async def numbers():
            yield 1
            yield 2
        parent = os.getpid()
        items = _bridge.iterate(numbers())
        next(items)
        with _bridge.enter(sandbox()):
            child = os.fork()
            if child == 0:
                try:
                    next(items)
                except RuntimeError as exc:
                    print("fork" in str(exc), flush=True)
            else:
                os.waitpid(child, 0)
        if child:
            print("next", next(items))
        items.close()
    """)
    assert program.lines() == ["True", "closed by True", "next 2"]


@posix_only
def test_a_process_pool_can_make_calls() -> None:
    program = Process("""
        import multiprocessing
        def work(value):
            return _bridge.call(double, value)
        _bridge.call(double, 1)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(work, range(4)))
            pool.close()
            pool.join()
    """)
    assert program.lines() == ["[0, 2, 4, 6]"]


# -- the end of the process --------------------------------------------------------------------


def test_a_program_that_closes_nothing_ends() -> None:
    program = Process("""
        async def numbers():
            while True:
                yield 1
        items = _bridge.iterate(numbers())
        next(items)
        async def notify():
            return await _bridge.as_async(abs)(-1)
        print(_bridge.call(notify))
    """)
    assert program.lines() == ["1"]


def test_a_call_in_flight_is_cancelled_at_the_end() -> None:
    program = Process("""
        import atexit
        log, begun = [], threading.Event()
        async def work():
            begun.set()
            await long(log)
        def in_flight():
            try:
                _bridge.call(work)
            except RuntimeError:
                pass
        threading.Thread(target=in_flight, daemon=True).start()
        begun.wait(30)
        atexit.unregister(_bridge.shutdown)
        atexit.register(lambda: (_bridge.shutdown(), print(log)))
    """)
    assert program.lines() == ["started", "['cleaned']"]


def test_an_exit_handler_may_make_calls() -> None:
    program = Process("""
        import atexit
        _bridge.call(double, 1)
        atexit.register(lambda: print(_bridge.call(double, 2)))
    """)
    assert program.lines() == ["4"]


def test_a_blocked_loop_does_not_keep_the_program_alive() -> None:
    program = Process("""
        _loop.GRACE = 0.2
        blocked = threading.Event()
        async def block():
            blocked.set()
            time.sleep(600)
        threading.Thread(target=_bridge.call, args=(block,), daemon=True).start()
        print(blocked.wait(10))
    """)
    assert program.lines() == ["True"]


def test_importing_starts_nothing() -> None:
    program = Process("print(threading.active_count(), 'anyio.from_thread' in sys.modules)")
    assert program.lines() == ["1 False"]


def test_the_loop_thread_is_a_daemon() -> None:
    _bridge.call(double, 1)
    threads = [thread for thread in threading.enumerate() if thread.name == "agentbay-sync"]
    assert [thread.daemon for thread in threads] == [True]
