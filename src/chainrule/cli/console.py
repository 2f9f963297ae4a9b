"""What a person sees: results on stdout, everything about the way there on stderr."""

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chainrule.errors import ChainruleError

Parameters = ParamSpec("Parameters")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
# Matplotlib's remarks about its font cache are not for our reader.
logging.getLogger("matplotlib").setLevel(logging.ERROR)


@dataclass
class Settings:
    """What holds for every command."""

    debug: bool = False  # show tracebacks


settings = Settings()


class InterruptedFitError(Exception):
    """Ctrl-C ended a fit, and what there was has been kept and reported."""


def command(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Let a command end in one clear line and the right exit code, whatever happens."""

    @functools.wraps(function)
    def guarded(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except (typer.Exit, typer.BadParameter, BrokenPipeError):
            raise  # typer ends these well: a reader such as `head` that has enough is no error
        except InterruptedFitError as stop:
            raise typer.Exit(130) from stop
        except KeyboardInterrupt as stop:
            say_error("; ".join(["interrupted", *stop.args]) + ".")
            raise typer.Exit(130) from stop
        except Exception as error:  # every error is for a person: the traceback is there for who asks for it
            if settings.debug:
                raise
            say_error(_one_line(error))
            raise typer.Exit(1) from error

    return guarded


def say(line: str = "") -> None:
    """Print a line of results, as it is."""
    out.print(line, markup=False, soft_wrap=True)


def note(line: str) -> None:
    """Print a line about the way to the results, as it is."""
    err.print(line, markup=False, soft_wrap=True)


def say_error(line: str) -> None:
    """Print one line that begins with "error:"."""
    err.print("error:", style="bold red", end=" ")
    note(line)


def say_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], n_text: int = 1) -> None:
    """Print a table: text in the first ``n_text`` columns, numbers in the others."""
    say(title)  # not the table's own title, which is folded at the width of the table
    table = Table()
    for number, name in enumerate(header):
        table.add_column(Text(name), justify="right" if number >= n_text else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)


def say_next(commands: Sequence[tuple[str, str]]) -> None:
    """Print what can be done next, as commands to copy."""
    say("\nNext:")
    for line, meaning in commands:
        say(f"  # {meaning}")
        say(f"  {line}")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ChainruleError):
        return text
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else text
    if isinstance(error, MemoryError):
        return "there is not enough memory for this."
    return f"{type(error).__name__}: {text} (not expected; chainrule --debug … shows where it came from)"
