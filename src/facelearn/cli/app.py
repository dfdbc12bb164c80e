"""The command line's application object: how a command is registered, how its help is grouped, and what Ctrl-C does to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "Train": ("quickstart", "train", "tune", "study"),
    "Use": ("evaluate", "predict", "convert"),
    "Look": ("inspect", "explain", "models", "card"),
}
"""All commands by the heading of the help that they stand under, in its order."""
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells count

Function = TypeVar("Function", bound=Callable[..., Any])


def _write_groups(formatter: Any, rows: Iterable[tuple[str, Any]]) -> None:
    """Rows of (heading, text and explanation), each heading once, in the order in which the headings come."""
    groups: dict[str, list[Any]] = {}
    for heading, row in rows:
        groups.setdefault(heading, []).append(row)
    for heading, lines in groups.items():
        with formatter.section(heading):
            formatter.write_dl(lines)


class Verb(TyperCommand):
    """A command with its options under the headings that they name (`rich_help_panel`), in plain text, and a line for Ctrl-C."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then the options by heading; those that name none, `--help` among them, are last."""
        arguments, headed, others = [], [], []
        for parameter in self.get_params(ctx):
            row, heading = parameter.get_help_record(ctx), getattr(parameter, "rich_help_panel", None)
            if row is None:
                continue
            if parameter.param_type_name == "argument":
                arguments.append(("Arguments", row))
            elif heading:
                headed.append((heading, row))
            else:
                others.append(("Options", row))
        _write_groups(formatter, [*arguments, *headed, *others])

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C that it does not answer itself ends it with one line and exit code 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("facelearn: stopped", err=True)
            raise typer.Exit(INTERRUPTED) from None


class House(TyperGroup):
    """All commands, listed as `COMMANDS` has them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the help."""
        return [name for names in COMMANDS.values() for name in names]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Name and first sentence of every command, by heading."""
        width = formatter.width - 6 - max(map(len, self.commands))
        rows = [
            (heading, (name, self.commands[name].get_short_help_str(width)))
            for heading, names in COMMANDS.items()
            for name in names
        ]
        _write_groups(formatter, rows)


app = typer.Typer(
    name="facelearn",
    cls=House,
    help="Train, check and serve face models from the labels people really have.",
    epilog="Exit codes: 0 done, 1 failed, or stopped and ready to go on, 2 wrong usage, 130 ended by Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def command(*, epilog: str) -> Callable[[Function], Function]:
    """Register a function as the command of its name; `epilog` shows how it is typed."""
    return app.command(cls=Verb, epilog=epilog)
