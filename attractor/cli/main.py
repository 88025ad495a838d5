"""The command group and the one place where errors become messages and exit codes (DESIGN 2.1).

A command's module, and with it everything the command needs, is imported when that command is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Final

import click

from attractor import __version__
from attractor.cli import output
from attractor.errors import AttractorError, InternalError, UsageError

# command -> (module, attribute, help for the list of commands, which must not import the module)
COMMANDS: Final[dict[str, tuple[str, str, str]]] = {
    "run": ("attractor.cli.run", "run", "Run a graph to its end, here or detached."),
    "resume": ("attractor.cli.run", "resume", "Go on with a run that crashed, failed or was stopped."),
    "status": ("attractor.cli.runs", "status", "Show where a run stands, once or live."),
    "answer": ("attractor.cli.answer", "answer", "Answer a question that a run waits for."),
    "stop": ("attractor.cli.runs", "stop", "End a running run in order."),
    "runs": ("attractor.cli.runs", "runs", "List, show, wait for and prune runs."),
    "cxdb": ("attractor.cli.cxdb", "cxdb", "Show, follow, check and complete what CXDB has of a run."),
    "supervise": ("attractor.cli.supervise", "supervise", "Watch for crashed runs and resume them."),
    "validate": ("attractor.cli.graphs", "validate", "Check graph files; no run, no side effect."),
    "format": ("attractor.cli.format", "format_graphs", "Give graph files their canonical layout."),
    "explain": ("attractor.cli.explain", "explain", "Show where a node's attributes and routes come from."),
    "graph": ("attractor.cli.draw", "graph", "Draw a graph, or how a run went, as SVG, PNG or PDF."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 success, 1 the run or validation failed, 2 wrong usage or configuration, "
    "130/143 canceled by signal.",
)
@click.version_option(__version__, message="attractor %(version)s")
def attractor() -> None:
    """Run agent pipelines written as DOT graphs: one commit a finished node, resumable after any crash."""


# Their exit code tells how the run ended, whether or not anybody reads what they print.
OWN_CODE: Final = frozenset({"run", "resume"})


def run_cli(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code. Never lets a traceback out for a user's mistake."""
    output.plug_missing_streams()
    code = _exit_code(arguments)
    if not output.finish() and not (arguments and arguments[0] in OWN_CODE):
        return code or 1
    return code


def _exit_code(arguments: Sequence[str]) -> int:
    try:
        _refuse_undecodable(arguments)
        code = attractor.main(args=list(arguments), prog_name="attractor", standalone_mode=False)
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    except click.ClickException as error:
        output.quietly(error.show)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except AttractorError as error:
        _show(error)
        return error.exit_code
    except OSError as error:
        if error.filename is None:  # what reads files and sockets names them: this came from printing
            output.lost(error)
        else:
            output.say(f"attractor: error: {error.filename}: {error.strerror}")
        return 1
    return code if isinstance(code, int) else 0


def _refuse_undecodable(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            shown = ascii(argument)
            raise UsageError(f"{shown} is not UTF-8", hint="records and messages could not name it") from error


def _show(error: AttractorError) -> None:
    output.say(f"attractor: error: {error}")
    if isinstance(error, InternalError):
        output.say("  this is a defect of attractor: please report it with the command you ran")
