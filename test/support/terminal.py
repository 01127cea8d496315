"""Runs a program in a pseudo terminal of its own and does what PLAN says, step by step.

usage: terminal.py PLAN PROGRAM ARGUMENT...

PLAN is JSON: {"columns", "rows", "steps": [{"wait": TEXT, "type": TEXT | "size": [COLUMNS, ROWS] |
"signal": NAME}]}; a step is done once TEXT has been shown since the step before. Prints JSON:
{"shown": [what was shown up to each step, and after the last], "status", "isRestored"}.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios

PATIENCE_SECONDS = 60


def set_size(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


plan = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    # The parent notes the terminal's modes first.
    sys.stdin.readline()
    os.execvp(sys.argv[2], sys.argv[2:])
set_size(fd, plan["columns"], plan["rows"])
before = termios.tcgetattr(fd)
os.write(fd, b"\n")
shown = []


def read_until(text):
    """What is shown until TEXT is in it; without a TEXT, until the end."""
    found = b""
    while text is None or text.encode() not in found:
        if not select.select([fd], [], [], PATIENCE_SECONDS)[0]:
            break
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        found += piece
    return found.decode("utf-8", "replace")


for step in plan["steps"]:
    shown.append(read_until(step["wait"]))
    if "type" in step:
        os.write(fd, step["type"].encode())
    if "size" in step:
        set_size(fd, *step["size"])
    if "signal" in step:
        os.kill(pid, getattr(signal, step["signal"]))
shown.append(read_until(None))
_, status = os.waitpid(pid, 0)
after = termios.tcgetattr(fd)
print(json.dumps({
    "shown": shown,
    "status": os.waitstatus_to_exitcode(status),
    "isRestored": before == after,
}))
