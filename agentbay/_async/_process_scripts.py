"""What a session's `sh` is told to start, watch, feed and signal a process.

Everything about a process is in one directory of the session's ``/tmp``, so that any client can
find it again. The files, in the order in which they appear:

- ``stdin``, ``queue``, ``ready``: FIFOs. Input is put into a file, and the name of the file into
  the queue; a feeder copies the files into ``stdin``, so that a client never has to wait for
  a process that does not read.
- ``stdout``, ``stderr``: what the process wrote.
- ``keeper``: the pid of the shell that waits for the process and knows its exit code.
- ``pid``: the pid of the process, and what to signal: its process group, or the process alone
  where the image has no ``setsid``.
- ``command``: what the process is told to do, if that is long.
- ``closed``: there once the standard input is to end.
- ``exit``: the exit code.
"""

from __future__ import annotations

import shlex
import uuid

DIRECTORY = "/tmp/agentbay-process-"


def script(text: str, *words: str, stdin: str = "") -> str:
    """A command line that runs a script with these arguments, and with a standard input."""
    line = shlex.join(["sh", "-c", text, "sh", *words])
    end = uuid.uuid4().hex
    return f"{line} <<'{end}'\n{stdin}\n{end}\n" if stdin else line


# $1 directory, $2 working directory, $3 keeper, $4 child, $5 command, then NAME=value.
# A command that is too long for an argument is not there, but comes as the standard input.
# A job that a shell starts with & ignores INT and QUIT for good; `setsid -f` forks by itself.
START = """\
d=$1 cwd=$2 keeper=$3
shift 3
if [ -n "$cwd" ]; then cd "$cwd" || exit 3; fi
mkdir -m 700 "$d" && mkfifo "$d/stdin" "$d/queue" "$d/ready" || exit 4
: >"$d/stdout" && : >"$d/stderr" || exit 4
if [ -z "$2" ]; then
  cat >"$d/command" || exit 4
  child=$1
  shift 2
  set -- "$child" ". $d/command" "$@"
fi
exec 3<>"$d/ready"
if setsid -f true 2>/dev/null; then
  setsid -f sh -c "$keeper" sh "$d" "$@" 3<&- </dev/null >/dev/null 2>&1
elif command -v setsid >/dev/null; then
  setsid sh -c "$keeper" sh "$d" "$@" 3<&- </dev/null >/dev/null 2>&1 &
else
  nohup sh -c "$keeper" sh "$d" "$@" 3<&- </dev/null >/dev/null 2>&1 &
fi
read -r pid <&3 && echo "$pid"
"""

# $1 directory, $2 child, $3 command, then NAME=value.
KEEPER = """\
d=$1 child=$2
shift 2
echo "$$" >"$d/keeper"
while read -r name; do
  if [ "$name" = close ]; then break; fi
  cat "$d/$name"
  rm -f "$d/$name"
done <>"$d/queue" >"$d/stdin" &
feeder=$!
own=
if command -v setsid >/dev/null; then own=setsid; fi
$own sh -c "$child" sh "$d" "$own" "$@" <"$d/stdin" >>"$d/stdout" 2>>"$d/stderr"
echo "$?" >"$d/exit.new"
mv "$d/exit.new" "$d/exit"
kill "$feeder"
"""

# $1 directory, $2 whether it is the head of a process group, $3 command, then NAME=value.
CHILD = """\
d=$1 own=$2 command=$3
shift 3
echo "$$ ${own:+-}$$" >"$d/pid.new"
mv "$d/pid.new" "$d/pid"
echo "$$" 1<>"$d/ready"
if [ "$#" -gt 0 ]; then exec env -- "$@" /bin/sh -c "$command"; fi
exec /bin/sh -c "$command"
"""

# Sets `state`: "exit <code>", "running", "lost" (nobody is left to tell) or "missing".
# The feeder of a process whose keeper is lost is told to end, since nobody else does.
# A pid alone may belong to somebody else by now, the arguments of the keeper name the directory.
_STATE = """\
d=$1 pid=0 target= keeper= state=running
if [ ! -d "$d" ]; then echo missing 0; exit 0; fi
if [ -e "$d/pid" ]; then read -r pid target <"$d/pid"; fi
ended() {
  if [ ! -e "$d/exit" ]; then return 1; fi
  read -r code <"$d/exit"
  state="exit $code"
}
alive() {
  if [ -e "$d/keeper" ]; then read -r keeper <"$d/keeper"; fi
  if [ -z "$keeper" ]; then return 1; fi
  if [ ! -e /proc/self/cmdline ]; then kill -0 "$keeper" 2>/dev/null; return; fi
  case $(head -c 8000 "/proc/$keeper/cmdline" 2>/dev/null | tr '\\0' ' ') in
    *"$d"*) return 0 ;;
  esac
  return 1
}
if ! { ended || alive || ended; }; then
  state=lost
  echo close 1<>"$d/queue"
fi
"""

# $1 directory, $2 stream or nothing, $3 number of its first byte from 1, $4 most bytes.
# The state comes first: what was written before the end is read after it was seen.
LOOK = f"""\
{_STATE}\
echo "$state $pid"
if [ -n "$2" ]; then tail -c "+$3" "$d/$2" | head -c "$4" | base64; fi
"""

# $1 directory, $2 signal.
SIGNAL = f"""\
{_STATE}\
if [ "$state" != running ]; then echo "$state $pid"; exit 0; fi
if message=$(kill -s "$2" -- "$target" 2>&1); then echo sent "$pid"; exit 0; fi
if [ -d "/proc/$pid" ]; then echo "$message" >&2; exit 5; fi
echo "exit 0 $pid"
"""

# $1 directory, $2 file to add to, $3 base64, $4 not empty for the last part.
FEED = f"""\
{_STATE}\
if [ "$state" = running ] && [ -e "$d/closed" ]; then state=closed; fi
if [ "$state" != running ]; then echo "$state $pid"; exit 0; fi
printf %s "$3" | base64 -d >>"$d/$2" || exit 4
if [ -n "$4" ]; then echo "$2" 1<>"$d/queue"; fi
echo sent "$pid"
"""

# $1 directory.
CLOSE = f"""\
{_STATE}\
if [ "$state" = running ] && [ ! -e "$d/closed" ]; then
  : >"$d/closed"
  echo close 1<>"$d/queue"
fi
echo "$state $pid"
"""
