"""The command line interface; each command imports what it needs when it runs."""

import errno
import logging
import os
import signal
import sys
import warnings
from importlib import metadata
from typing import Annotated

import typer

from wsseg.cli import (
    bench,
    calibrate,
    data,
    doctor,
    init,
    plugins,
    predict,
    recipes,
    runs,
    share,
    view,
)
from wsseg.cli.command_help import Commands
from wsseg.cli.plugin_commands import WithPluginCommands
from wsseg.errors import InputError, WorkError, escape_unprintable, shorten_lines

INTERRUPTED = 130  # exit code of a program that Ctrl-C ended, by the convention of shells

app = Commands(
    "Train segmentation networks from weak labels by expectation-maximisation.",
    name="wsseg",
    cls=WithPluginCommands,
    epilog="Every command accepts --debug, which shows the traceback of an error.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(runs.train)
app.command()(predict.predict)
app.command()(runs.score)
app.command()(runs.report)
app.command()(calibrate.calibrate)
app.command()(view.view)
app.command()(share.pack)
app.command()(share.export)
app.command()(init.init)
app.command()(plugins.new)
app.command()(doctor.doctor)
app.add_typer(bench.app, name="bench")
app.add_typer(recipes.app, name="recipe")
app.add_typer(plugins.app, name="plugins")
app.add_typer(data.app, name="data")
app.add_typer(runs.manifest, name="manifest")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wsseg {metadata.version('wsseg')}")
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command line; exit with 0 on success, 1 if the work failed, 2 on bad input."""
    _configure_logging()
    # Fabric calls this function of torch for several devices.
    warnings.filterwarnings("ignore", ".*all_gather is deprecated", FutureWarning)
    # End on SIGTERM, which clusters send, as on Ctrl-C: locks and temporary files are removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    if debug:
        app()
    try:
        app()
    except InputError as error:
        _exit(str(error), 2)
    except (WorkError, OSError) as error:
        _exit(str(error), 2 if getattr(error, "errno", None) == errno.ENAMETOOLONG else 1)
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        _exit(
            "interrupted; all files written so far are complete. "
            "Run the same command again to continue",
            INTERRUPTED,
        )
    except Exception as error:  # noqa: BLE001 - users get a message instead of a traceback
        kind = type(error).__name__
        _exit(f"{kind}: {error}\nThis is a bug in wsseg or a plugin; --debug shows where.", 1)


class _PrintableFormatter(logging.Formatter):
    """Formatter that escapes control characters of the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return escape_unprintable(super().format(record))


def _configure_logging() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("wsseg").setLevel(logging.INFO)
    logging.getLogger("nibabel").setLevel(logging.CRITICAL)  # wsseg raises errors of its own
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # such as about its cache folder
    os.environ.setdefault("HF_HUB_VERBOSITY", "critical")  # read when huggingface_hub is imported


def _exit(message: str, code: int) -> None:
    sys.stderr.write(f"error: {shorten_lines(escape_unprintable(message))}\n")
    sys.exit(code)
