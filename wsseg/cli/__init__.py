"""The command line. Importing it is quick: what a command needs it imports when it runs."""

import errno
import logging
import signal
import sys

import typer

from wsseg.cli import bench, data, manifest, new, plugins, recipes, runs
from wsseg.errors import InputError, WorkError, escape_unprintable, shorten_lines

INTERRUPTED = 130  # what a shell calls a program that Ctrl-C ended

app = typer.Typer(
    name="wsseg",
    help="Train segmentation networks from weak labels by expectation-maximisation.",
    epilog="Any command with --debug shows the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(runs.train)
app.command()(runs.predict)
app.command()(runs.score)
app.command()(runs.report)
app.command()(new.new)
app.add_typer(bench.app, name="bench")
app.add_typer(recipes.app, name="recipe")
app.add_typer(plugins.app, name="plugins")
app.add_typer(data.app, name="data")
app.add_typer(manifest.app, name="manifest")


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 the work failed, 2 bad usage or bad input."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("wsseg").setLevel(logging.INFO)
    logging.getLogger("nibabel").setLevel(logging.CRITICAL)  # our error says what is wrong
    # A cluster's SIGTERM ends as Ctrl-C does: locks and temporary files go.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    if debug:
        app()
    try:
        app()
    except InputError as error:
        _end(str(error), 2)
    except (WorkError, OSError) as error:
        _end(str(error), 2 if getattr(error, "errno", None) == errno.ENAMETOOLONG else 1)
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        _end("interrupted; what was written is whole, and the same command does the rest", end.code)
    except Exception as error:  # noqa: BLE001 - a person should never be shown a traceback
        kind = type(error).__name__
        _end(f"{kind}: {error}\nThis is a bug in wsseg or a plugin; --debug shows where.", 1)


class _Printable(logging.Formatter):
    """Writes records without what would steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line."""
        return escape_unprintable(super().format(record))


def _end(text: str, code: int) -> None:
    sys.stderr.write(f"error: {shorten_lines(escape_unprintable(text))}\n")
    sys.exit(code)
