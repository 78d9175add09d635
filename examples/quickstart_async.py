"""The main job on the local engine, for asyncio programs: several sessions at once.

Needs `pip install '.[local]'`. Run it with `python examples/quickstart_async.py`.
"""

import asyncio

import httpx

from agentbay import AsyncAgentBay, ContextSync, CreateSessionParams

NOTES = "/home/wuying/notes"


async def main() -> None:
    async with AsyncAgentBay(endpoint="local") as bay:
        context = (await bay.context.get("quickstart-async", create=True)).unwrap()
        params = CreateSessionParams(context_syncs=[ContextSync(context.id, NOTES)])

        async with bay.session(params, sync_context=True) as session:
            result = await session.command.run("echo Hello from $(whoami)")
            print("command:", result.stdout.strip(), "exit code", result.exit_code)
            await session.file_system.write_file(f"{NOTES}/todo.txt", "water the plants\n")

        async with bay.session(params) as session:
            kept = await session.file_system.read_file(f"{NOTES}/todo.txt")
            print("kept:", kept.unwrap().strip())
            await session.command.run(f"cd {NOTES} && python3 -m http.server 30150 &")
            link = (await session.get_link(port=30150)).unwrap()
            print("page:", (await read(link + "todo.txt")).strip())

        squares = await asyncio.gather(*(square(bay, number) for number in range(3)))
        print("in three sessions at once:", squares)


async def square(bay: AsyncAgentBay, number: int) -> int:
    """Compute something in a session of its own."""
    async with bay.session() as session:
        return int((await session.command.run(f"echo $(({number} * {number}))")).unwrap())


async def read(url: str) -> str:
    """Read a page, as soon as the server in the session listens."""
    async with httpx.AsyncClient() as http:
        for _ in range(100):
            page = await http.get(url)
            if page.status_code != 502:
                return page.raise_for_status().text
            await asyncio.sleep(0.1)
    raise TimeoutError(f"nothing answers at {url}")


if __name__ == "__main__":
    asyncio.run(main())
