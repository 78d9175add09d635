"""Code in real interpreters, as a user of the client sees it."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator

import anyio
import pytest

from agentbay import AsyncAgentBay, AsyncSession, EnhancedCodeExecutionResult, ToolError
from agentbay.errors import ExecutionError

from .observing import shell
from .services import Service

needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="Node.js is missing: apt-get install nodejs"
)

RICH = """
from IPython.display import HTML, JSON, SVG, Latex, Markdown, display
display(HTML("<b>x</b>"), Markdown("# h"), JSON({"a": [1]}), Latex("$x$"))
display(SVG('<svg xmlns="http://www.w3.org/2000/svg"/>'))
display({"image/png": "iVBORw0=", "image/jpeg": "/9j/"}, raw=True)
display({"application/vnd.vegalite.v6+json": {"mark": "bar"}}, raw=True)
display({"application/x-unknown": "data"}, raw=True)
"last"
"""
BUSY = """
open("/tmp/busy", "w").close()
while os.path.exists("/tmp/busy"):
    time.sleep(0.05)
"""
STUBBORN = """
import time
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        print("again", flush=True)
"""


@pytest.fixture(scope="module")
def shared_id(service: Service) -> Iterator[str]:
    """A session for tests that need no other: interpreters take a second to start."""
    with service.blocking_client() as bay, bay.session() as session:
        yield session.session_id


@pytest.fixture
async def shared(bay: AsyncAgentBay, shared_id: str) -> AsyncSession:
    return (await bay.get(shared_id)).unwrap()


async def run(
    session: AsyncSession, code: str, language: str = "python", timeout: float = 60
) -> EnhancedCodeExecutionResult:
    return await session.code.run_code(textwrap.dedent(code), language, timeout)


async def value(session: AsyncSession, code: str, language: str = "python") -> str:
    result = await run(session, code, language)
    assert result.success, result.error_message
    return result.result


async def cut_short(
    session: AsyncSession, code: str, language: str = "python"
) -> EnhancedCodeExecutionResult:
    """The result of code that prints `before` and then goes on until its time is up.

    How much time it takes to get as far as that, only the machine knows.
    """
    for limit in (1, 4, 16):
        result = await run(session, code, language, timeout=limit)
        if result.logs.stdout:
            break
    assert f"did not end within {limit} seconds" in result.error_message
    assert result.execution_time < limit + 9
    return result


async def test_python_prints_shows_and_remembers(session: AsyncSession) -> None:
    first = await run(session, "import sys, math\nx = 20")
    second = await run(session, "print('hi'); print('oh', file=sys.stderr)\nmath.floor(x + 22.5)")

    assert first.success
    assert (first.result, first.results, first.execution_count) == ("", [], 1)
    assert (second.logs.stdout, second.logs.stderr) == (["hi\n"], ["oh\n"])
    assert (second.result, second.execution_count) == ("42", 2)
    assert [item.is_main_result for item in second.results] == [True]
    assert 0 < second.execution_time < 30


async def test_code_runs_as_the_user_of_the_session_in_its_home(shared: AsyncSession) -> None:
    code = "import os, pathlib, pwd; pathlib.Path('seen').touch()\n"
    code += "print(pwd.getpwuid(os.getuid()).pw_name, os.getuid() > 0, os.getcwd())"
    assert await value(shared, code) == "wuying True /home/wuying\n"
    assert await shell(shared, "ls") == "seen\n"


async def test_what_code_shows_comes_in_all_its_formats(shared: AsyncSession) -> None:
    results = (await run(shared, RICH)).results

    html, markdown, data, latex, svg, images, chart, unknown, last = results
    assert html.html == "<b>x</b>"
    assert markdown.markdown == "# h"
    assert data.json == {"a": [1]}
    assert latex.latex == "$x$"
    assert (svg.svg or "").startswith("<svg")
    assert (images.png, images.jpeg) == ("iVBORw0=", "/9j/")
    assert chart.chart == {"mark": "bar"}
    assert unknown.text == "[application/x-unknown]"
    assert (last.text, last.is_main_result) == ("'last'", True)
    assert not any(item.is_main_result for item in results[:-1])


async def test_an_exception_is_told_and_the_state_stays(shared: AsyncSession) -> None:
    failed = await run(shared, "x = 1\nprint('before')\n1 / 0")

    assert not failed.success
    assert failed.error_message == "ZeroDivisionError: division by zero"
    assert isinstance(failed.error, ExecutionError)
    assert failed.error.name == "ZeroDivisionError"
    assert failed.error.value == "division by zero"
    assert "1 / 0" in failed.error.traceback
    assert "\x1b" not in failed.error.traceback
    assert failed.logs.stdout == ["before\n"]
    assert (await run(shared, "x +")).error_message.startswith("SyntaxError")
    assert "StdinNotImplementedError" in (await run(shared, "input()")).error_message
    assert await value(shared, "x") == "1"


async def test_code_whose_time_is_up_is_interrupted_and_the_state_stays(
    shared: AsyncSession,
) -> None:
    await run(shared, "import time\nx = 1")

    late = await cut_short(shared, "x = 2\nprint('before')\ntime.sleep(60)\nx = 3")

    assert not late.success
    assert "keeps its state" in late.error_message
    assert late.logs.stdout == ["before\n"]
    assert await value(shared, "x") == "2"


@pytest.mark.slow
async def test_code_that_cannot_be_interrupted_loses_the_state_and_that_is_told(
    shared: AsyncSession,
) -> None:
    await run(shared, "x = 1")

    late = await run(shared, STUBBORN, timeout=3)

    assert "state is lost" in late.error_message
    assert "again\n" in late.result
    assert "NameError" in (await run(shared, "x")).error_message


async def test_an_interpreter_that_dies_is_told_and_the_next_one_begins_anew(
    shared: AsyncSession,
) -> None:
    dead = await run(shared, "import os; print('last words', flush=True); os.kill(os.getpid(), 9)")

    assert not dead.success
    assert "signal 9" in dead.error_message
    assert "state is lost" in dead.error_message
    assert await value(shared, "1 + 1") == "2"


async def test_interpreters_of_two_sessions_are_apart(
    bay: AsyncAgentBay, shared: AsyncSession
) -> None:
    await run(shared, "x = 1")
    async with bay.session() as other:
        assert "NameError" in (await run(other, "x")).error_message
    assert await value(shared, "x") == "1"


async def test_variables_of_the_session_reach_interpreters_that_run(session: AsyncSession) -> None:
    await session.env.set({"COLOUR": "green"})
    code = "import os; print(os.environ['COLOUR'])"
    if shutil.which("node"):
        assert await value(session, "process.env.COLOUR", "js") == "'green'"
    assert await value(session, code) == "green\n"

    await session.env.set({"COLOUR": 'it\'s "red"'})

    assert await value(session, code) == 'it\'s "red"\n'


async def test_runs_of_one_language_wait_for_each_other(shared: AsyncSession) -> None:
    await run(shared, "import os, time; total = 0")

    async def count() -> None:
        await run(shared, "seen = total; time.sleep(0.05); total = seen + 1")

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(count)
    busy = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, shared, BUSY)
        await shell(shared, "until [ -e /tmp/busy ]; do sleep 0.05; done")
        busy = await run(shared, "1", timeout=1)
        await shell(shared, "rm /tmp/busy")

    assert await value(shared, "total") == "3"
    assert busy is not None
    assert isinstance(busy.error, ToolError)
    assert "busy with another run" in busy.error_message


async def test_code_that_nobody_waits_for_is_stopped(shared: AsyncSession) -> None:
    await run(shared, "import time\nx = 1")
    code = "x = 2\nopen('/tmp/begun', 'w').close()\ntime.sleep(60)\nx = 3"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, shared, code)
        await shell(shared, "until [ -e /tmp/begun ]; do sleep 0.05; done")
        tasks.cancel_scope.cancel()

    assert await value(shared, "x") == "2"


async def test_output_beyond_what_a_reply_holds_is_left_out_and_that_is_told(
    shared: AsyncSession,
) -> None:
    result = await run(shared, "print('x' * 17_000_000)")

    assert result.success
    assert len(result.result) == 16 * 1024 * 1024
    assert "222785 characters of output left out" in result.logs.stderr[0]


async def test_a_session_that_was_paused_goes_on_with_its_state(
    bay: AsyncAgentBay, shared: AsyncSession
) -> None:
    await run(shared, "x = 1")
    assert (await bay.pause(shared)).success
    paused = await run(shared, "x")
    assert (await bay.resume(shared)).success

    assert "paused" in paused.error_message
    assert await value(shared, "x") == "1"


@needs_node
async def test_javascript_prints_shows_and_remembers(shared: AsyncSession) -> None:
    assert await value(shared, "const y = 20; let z = 1", "javascript") == ""
    again = "const y = 21; console.error('oh'); console.log('hei æøå'); ({y, z: [z]})"
    result = await run(shared, again, "node")

    assert (result.logs.stdout, result.logs.stderr) == (["hei æøå\n"], ["oh\n"])
    assert result.result == "{ y: 21, z: [ 1 ] }"
    assert (
        await value(shared, "await new Promise(go => setTimeout(() => go(y + 1), 10))", "js")
        == "22"
    )
    assert (
        await value(shared, "(await import('node:os')).EOL === require('os').EOL", "js") == "true"
    )


@needs_node
async def test_javascript_that_fails_keeps_the_state(shared: AsyncSession) -> None:
    failed = await run(shared, "var kept = 1\nfunction f() { null.x }\nf()", "javascript")
    thrown = await run(shared, "throw 'text'", "javascript")
    later = await run(
        shared,
        "setTimeout(() => { throw Error('later') }); await new Promise(go => setTimeout(go, 50))",
        "javascript",
    )

    assert failed.error_message == "TypeError: Cannot read properties of null (reading 'x')"
    assert isinstance(failed.error, ExecutionError)
    assert "at f" in failed.error.traceback
    assert "node.js" not in failed.error.traceback
    assert thrown.error_message == "Uncaught: text"
    assert later.success
    assert "Uncaught Error: later" in later.logs.stderr[0]
    assert await value(shared, "kept", "javascript") == "1"


@needs_node
@pytest.mark.parametrize(
    "code",
    ["while (true) {}", "await null; while (true) {}", "await new Promise(() => {})"],
)
async def test_javascript_whose_time_is_up_keeps_the_state(shared: AsyncSession, code: str) -> None:
    await run(shared, "const y = 1", "javascript")

    late = await cut_short(shared, f"console.log('before'); {code}", "javascript")

    assert "keeps its state" in late.error_message
    assert late.logs.stdout == ["before\n"]
    assert await value(shared, "y", "javascript") == "1"


@needs_node
async def test_javascript_that_exits_begins_anew(shared: AsyncSession) -> None:
    dead = await run(shared, "console.log('bye'); process.exit(3)", "javascript")

    assert "exited with 3" in dead.error_message
    assert dead.logs.stdout == ["bye\n"]
    assert await value(shared, "1 + 1", "javascript") == "2"


@pytest.mark.parametrize(
    ("language", "remedy"), [("r", "r-cran-irkernel"), ("java", "default-jdk")]
)
async def test_a_language_without_a_kernel_says_what_to_install(
    session: AsyncSession, language: str, remedy: str
) -> None:
    if "/" in await shell(session, "ls -d /usr/*/share/jupyter/kernels/* 2>/dev/null || true"):
        pytest.skip("this machine has kernels: remove r-cran-irkernel and the like")
    result = await run(session, "1", language)

    assert isinstance(result.error, ToolError)
    assert remedy in result.error_message


@pytest.mark.slow
@pytest.mark.parametrize(("language", "kernel"), [("r", "ir"), ("java", "ijava")])
async def test_a_kernel_that_is_installed_in_the_session_runs_its_language(
    session: AsyncSession, language: str, kernel: str
) -> None:
    python = (await value(session, "import sys; print(sys.executable)")).strip()
    spec = {
        "argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "R",
        "language": "R",
        "interrupt_mode": "message",
        "env": {"KIND": "r"},
    }
    place = f"/home/wuying/.local/share/jupyter/kernels/{kernel}"
    await session.file_system.create_directory(place)
    await session.file_system.write_file(f"{place}/kernel.json", json.dumps(spec))

    assert await value(session, "import os; os.environ['KIND']", language) == "'r'"
    late = await cut_short(
        session, "import time; print('before'); time.sleep(60)", language.upper()
    )
    assert "keeps its state" in late.error_message
    assert await value(session, "os.getcwd()", language) == "'/home/wuying'"


@pytest.mark.slow
async def test_a_kernel_that_does_not_start_is_refused_with_what_it_said(
    session: AsyncSession,
) -> None:
    spec = {
        "argv": ["sh", "-c", "echo no luck >&2; exit 4"],
        "language": "java",
        "display_name": "",
    }
    place = "/home/wuying/.local/share/jupyter/kernels/java"
    await session.file_system.create_directory(place)
    await session.file_system.write_file(f"{place}/kernel.json", json.dumps(spec))

    result = await run(session, "1", "java")

    assert isinstance(result.error, ToolError)
    assert "exited with 4" in result.error_message
    assert "no luck" in result.error_message
