"""The main job on the local engine: commands, files that stay, and a page. No account needed.

Needs `pip install '.[local]'`. Run it with `python examples/quickstart.py`. With AGENTBAY_API_KEY
set and `AgentBay(region_id="cn-hangzhou")` instead, the same program runs in the cloud.
"""

import time
import urllib.error
import urllib.request

from agentbay import AgentBay, ContextSync, CreateSessionParams

NOTES = "/home/wuying/notes"


def main() -> None:
    with AgentBay(endpoint="local") as bay:
        # Storage that outlives sessions.
        context = bay.context.get("quickstart", create=True).unwrap()
        params = CreateSessionParams(
            labels={"example": "quickstart"}, context_syncs=[ContextSync(context.id, NOTES)]
        )

        session = bay.create(params).unwrap()
        print("session:", session.session_id)

        result = session.command.run("echo Hello from $(whoami); uname -s")
        print("command:", result.stdout.split("\n")[:2], "exit code", result.exit_code)

        session.file_system.write_file(f"{NOTES}/todo.txt", "water the plants\n").unwrap()
        session.delete(sync_context=True).unwrap()

        # Another session, later: the file is there. This one deletes itself.
        with bay.session(params) as later:
            print("kept:", later.file_system.read_file(f"{NOTES}/todo.txt").unwrap().strip())

            later.command.run(f"cd {NOTES} && python3 -m http.server 30150 &").unwrap()
            link = later.get_link(port=30150).unwrap()
            print("page:", read(link + "todo.txt").strip())


def read(url: str) -> str:
    """Read a page, as soon as the server in the session listens."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=10) as page:
                return str(page.read(), "utf-8")
        except urllib.error.HTTPError as exc:
            if exc.code != 502:
                raise
            time.sleep(0.1)
    raise TimeoutError(f"nothing answers at {url}")


if __name__ == "__main__":
    main()
