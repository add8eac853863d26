"""Registers this process with a reaper, then executes the program: `launcher.py FD PROGRAM ARGUMENT...`.

Run by its path with `python -I -S`: it imports built-in modules only, and takes about 10 ms. The process
registers itself before the program begins, so the reaper knows it from the start.
"""

# Built in; importing `signal`, which is not, would double the start time.
import _signal  # type: ignore[import-not-found]
import os
import sys


def main(pipe: int, command: list[str]) -> None:
    """Write `start PID` to the pipe and execute the command; the process id stays, the pipe is closed.

    Signals that Python ignores at its start are reset to their default actions, as ignored signals
    stay ignored across exec.
    """
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
    os.set_inheritable(pipe, False)
    os.write(pipe, b"start %d\n" % os.getpid())
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be executed: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
