"""The command line's application object: how a command is registered, how its help is grouped, and what Ctrl-C does to it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "Train": ("quickstart", "train", "tune", "study"),
    "Use": ("evaluate", "predict", "bench", "convert"),
    "Mend": ("audit", "patch", "pseudo-label"),
    "Compare": ("compare", "calibrate", "verify-eval", "embed", "adapt"),
    "Look": ("inspect", "explain", "models", "card"),
}
"""All commands by the heading of the help that they stand under, in its order."""
FACES = ("data", "source", "images")
"""What the argument with faces is called in the commands that have one."""
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells count

Function = TypeVar("Function", bound=Callable[..., Any])
UsageError: Any = typer.BadParameter.__mro__[1]
# click's, or that of the copy of click that newer typers have inside


def _write_groups(formatter: Any, rows: Iterable[tuple[str, Any]]) -> None:
    """Rows of (heading, text and explanation), each heading once, in the order in which the headings come."""
    groups: dict[str, list[Any]] = {}
    for heading, row in rows:
        groups.setdefault(heading, []).append(row)
    for heading, lines in groups.items():
        with formatter.section(heading):
            formatter.write_dl(lines)


@contextmanager
def _misspelt(ctx: Any, args: Sequence[str]) -> Iterator[None]:
    """An option that there is not ends with the closest one, or with the commands that have one of this name."""
    try:
        yield
    except UsageError as error:
        if not hasattr(error, "possibilities"):
            raise
        # -epochs is read as -e; what was typed is the whole word
        typed = next((word for word in args if word.startswith(error.option_name)), error.option_name).split("=")[0]
        own = _option_names(ctx.command)
        wanted = f"--{typed.lstrip('-')}"
        others = [name for name, one in _everything(ctx) if typed in _option_names(one)]
        close = [name for name in own if name.startswith(wanted)][:3]
        close = close or ([] if others else difflib.get_close_matches(wanted, own, n=3))
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        elsewhere = f" ({typed} is an option of {', '.join(others)})" if others else ""
        error.message, error.possibilities = f"there is no option {typed}{hint}{elsewhere}", None
        raise


def _option_names(one: Any) -> list[str]:
    return [name for parameter in one.params if parameter.param_type_name == "option" for name in parameter.opts]


def _everything(ctx: Any) -> list[tuple[str, Any]]:
    """(name, command) of all that has options."""
    house = ctx.find_root().command
    known = getattr(house, "commands", {})
    commands = [(name, known[name]) for names in COMMANDS.values() for name in names if name in known]
    return [("facelearn itself", house), *commands]


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

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Where a command takes faces, they may be given as `--data PATH` or without, whichever of the two it names itself."""
        with _misspelt(ctx, tuple(args)):
            return super().parse_args(ctx, self._with_faces(ctx, list(args)))

    def _with_faces(self, ctx: Any, args: list[str]) -> list[str]:
        positional = [one.name for one in self.params if one.param_type_name == "argument"]
        faces = next((name for name in positional if name in FACES), None)
        if faces is not None:
            at = next((i for i, word in enumerate(args) if word == "--data" or word.startswith("--data=")), None)
            if at is None or (at + 1 == len(args) and args[at] == "--data"):
                return args
            given = args[at].partition("=")[2] if "=" in args[at] else args[at + 1]
            others = args[:at] + args[at + 1 + ("=" not in args[at]) :]
            return [given, *others] if positional[0] == faces else [*others, given]
        if any(one.name == "data" for one in self.params):
            typed, extra, _ = self.make_parser(ctx).parse_args(list(args))
            if len(extra) == 1 and "data" not in typed:
                args.remove(extra[0])
                return [*args, "--data", extra[0]]
        return args

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C that it does not answer itself ends it with one line and exit code 130."""
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    """Ctrl-C within the block ends the program with one line."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("facelearn: stopped", err=True)
        raise typer.Exit(INTERRUPTED) from None


class House(TyperGroup):
    """All commands, listed as `COMMANDS` has them."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Read what was typed; Ctrl-C ends it as it ends a command."""
        with _one_line():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Find and run the command; Ctrl-C ends it as it ends a command."""
        with _one_line():
            return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """An option that stands before the command: one of its own, or the closest is named."""
        with _misspelt(ctx, tuple(args)):
            return super().parse_args(ctx, args)

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
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 130 ended by Ctrl-C, 143 by SIGTERM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _say_version(asked: bool) -> None:
    if asked:
        from facelearn import __version__

        typer.echo(f"facelearn {__version__}")
        raise typer.Exit


@app.callback()
def _facelearn(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train, check and serve face models from the labels people really have."""


def command(*, epilog: str) -> Callable[[Function], Function]:
    """Register a function as the command of its name; `epilog` shows how it is typed."""
    return app.command(cls=Verb, epilog=epilog)
