"""Compare results on an NVIDIA GPU with those on the CPU, and measure time and memory."""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.gpu.source_tree import make_importable, unmet_requirements

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    """Measure the given parts, or all; rows are saved while they are measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("parts", nargs="*", help="the parts to measure; the default is all")
    parser.add_argument(
        "--minutes", type=float, default=8, help="when to end at the latest; the default is 8"
    )
    parser.add_argument(
        "--out", type=Path, help="the folder of rows.csv and README.md; the default is this one"
    )
    parser.add_argument(
        "--trial", action="store_true", help="tiny sizes, also without a GPU, to find errors"
    )
    parser.add_argument(
        "--page", action="store_true", help="measure nothing; write README.md from rows.csv again"
    )
    options = parser.parse_args()
    if unmet := unmet_requirements():
        parser.error(f"these packages are missing, or have another version: {', '.join(unmet)}")
    with TemporaryDirectory(prefix="wsseg-gpu-", ignore_cleanup_errors=True) as name:
        temporary = Path(name)
        make_importable(temporary / "metadata")
        os.environ["TMPDIR"] = name  # what a stopped part leaves is removed
        os.environ["WSSEG_CACHE"] = str(temporary / "cache")
        from benchmarks.gpu.measure import ENOUGH_S, measure, write_page
        from benchmarks.gpu.worker import NoGpuError, PartError, TooLongError

        if unknown := set(options.parts) - set(ENOUGH_S):
            parser.error(f"no part is called {min(unknown)!r}; possible: {', '.join(ENOUGH_S)}")
        out = options.out or (temporary / "rows" if options.trial else FOLDER)
        if options.page:
            write_page(out)
            return
        names = options.parts or list(ENOUGH_S)
        try:
            is_complete = measure(names, 60 * options.minutes, out, trial=options.trial)
        except TooLongError:
            parser.error("the given time is over before anything was measured; use more --minutes")
        except (NoGpuError, PartError) as error:
            parser.error(str(error))
    sys.exit(0 if is_complete else 1)


if __name__ == "__main__":
    main()
