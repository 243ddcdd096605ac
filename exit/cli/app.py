"""The group of commands, and what becomes of whatever they raise: one line, and an exit code."""

import contextlib
import errno
import functools
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import click

from exit import __version__
from exit.cli import (
    act,
    arena,
    bench,
    coherence,
    compiling,
    completion,
    doctor,
    export,
    foresee,
    frontier,
    games,
    play,
    probe,
    recommend,
    report,
    serve,
    solve,
    sweep,
    train,
)
from exit.cli.options import Invocation, debug_option
from exit.errors import UsageError, UserError

_SUCCESS, _FAILURE, _BAD_USAGE = 0, 1, 2

_SIGNALLED = 128
"""Exit codes of commands that a signal stopped: this and its number."""

# How errors of the array library begin when a device has no memory left.
_XLA_OUT_OF_MEMORY = "RESOURCE_EXHAUSTED:"

_EPILOG = """\b
A first tour:
  xit train tic_tac_toe
  xit bench runs/tic_tac_toe
  xit play runs/tic_tac_toe

\b
Completion of names and options in bash (zsh and fish alike):
  eval "$(xit completion bash)"
"""


@click.group(
    epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="xit")
@debug_option
def xit() -> None:
    """Train agents that search, and hold them against exact values."""


def _once_ready(command: click.Command) -> click.Command:
    """The command, its work done only after the process was made ready for it.

    What is asked in a wrong way, and help, need not wait for JAX.
    """
    work = command.callback

    @functools.wraps(work or print)
    def made_ready(*args: Any, **kwargs: Any) -> Any:
        click.get_current_context().ensure_object(Invocation).ready_fn()
        return work(*args, **kwargs) if work else None

    command.callback = made_ready
    return command


for _command in (
    games.games,
    train.train,
    bench.bench,
    act.act,
    solve.solve,
    play.play,
    arena.match,
    export.export,
    compiling.compile_,
    coherence.coherence,
    foresee.foresee,
    probe.probe,
    frontier.frontier,
    recommend.recommend,
    report.report,
    sweep.sweep,
    serve.serve,
    doctor.doctor,
):
    xit.add_command(_once_ready(_command))
xit.add_command(completion.completion)


def run(arguments: Sequence[str] | None = None, invocation: Invocation | None = None) -> int:
    """Run one command; by default the one the process was started with.

    Args:
      invocation: told whether the command was interrupted.

    Returns:
      The exit code: 0 success, 1 failure, 2 bad usage, 130 interrupted from the keyboard, 143 terminated.
    """
    invocation = invocation or Invocation()
    try:
        with _noting_interrupts(invocation):
            code = xit.main(arguments, prog_name="xit", standalone_mode=False, obj=invocation)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return _BAD_USAGE
    except Exception as error:
        if invocation.interrupted or isinstance(error, click.Abort):
            click.echo(f"xit: {invocation.when_interrupted()}", err=True)
            return _SIGNALLED + (invocation.interrupted or signal.SIGINT)
        if invocation.debug:
            traceback.print_exc()
        message, code = _verdict(error)
        click.echo(f"xit: error: {' '.join(message.split())}", err=True)
        return code
    return code if isinstance(code, int) else _SUCCESS


def main() -> None:
    """Entry point of the console script."""
    invocation = Invocation(ready_fn=_get_ready)
    code = run(invocation=invocation)
    if invocation.interrupted:
        # Threads of XLA may still compile; tearing the interpreter down under them crashes it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _get_ready() -> None:
    """What a process needs once, before JAX starts."""
    # Importing and tracing make much that stays; looking for what does not takes a sixth of a start.
    gc.set_threshold(50_000, 20, 100)
    # Only now, since it imports JAX.
    from exit.caches import keep_compiled_programs
    from exit.devices import use_all_cores

    use_all_cores()
    keep_compiled_programs()


@contextlib.contextmanager
def _noting_interrupts(invocation: Invocation) -> Iterator[None]:
    """Notes an interrupt, from the keyboard or a scheduler, which array code may pass on as another error."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        again = invocation.interrupted
        invocation.interrupted = number
        if invocation.ending_fn is None or again:
            raise KeyboardInterrupt
        invocation.ending_fn()

    # Another handler is someone else's wish, such as a shell's that ignores interrupts in the background.
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = {
        number: handler
        for number, handler in usual.items()
        if _in_main_thread() and signal.getsignal(number) is handler
    }
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _verdict(error: Exception) -> tuple[str, int]:
    """What to say about a failure, and the exit code."""
    match error:
        case click.UsageError():
            message = error.format_message()
            command = error.ctx.command_path if error.ctx else "xit"
            joint = "" if message.endswith("?") else ";"
            message = message[:1].lower() + message[1:].rstrip(".")
            return f"{message}{joint} `{command} --help` shows what there is", _BAD_USAGE
        case click.ClickException():
            return error.format_message(), _FAILURE
        case UsageError():
            return str(error), _BAD_USAGE
        case UserError():
            return str(error), _FAILURE
        case OSError(strerror=str(reason), filename=filename) if filename is not None:
            return f"{filename}: {reason.lower()}; give another path, or mend that one", _FAILURE
        case OSError(errno=errno.ENOSPC):
            return "no space left on the disk; free some, then run the same command again", _FAILURE
        case MemoryError():
            return _out_of_memory(str(error)), _FAILURE
        case RuntimeError() if str(error).startswith(_XLA_OUT_OF_MEMORY):
            return _out_of_memory(str(error).removeprefix(_XLA_OUT_OF_MEMORY).splitlines()[0]), _FAILURE
        case _:
            return (
                f"unexpected {type(error).__name__}: {error}; run again with --debug for the traceback",
                _FAILURE,
            )


def _out_of_memory(detail: str) -> str:
    return f"out of memory; ask for less, or run on a larger machine ({detail.strip()})"
