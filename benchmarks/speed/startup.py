"""Start-up time of commands."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.speed.timing import REPEATS, Measurement, time_in_turns

IMPORTS_TORCH = "import sys, wsseg; sys.exit('torch' in sys.modules)"


@dataclass(frozen=True)
class Startup:
    """The duration of new processes. The import of torch does not depend on wsseg."""

    recipe: str = "covid/phi2"
    repeats: int = REPEATS

    def measure(self) -> Iterator[Measurement]:
        """Yield times, and whether `import wsseg` imports torch."""
        wsseg = ("-m", "wsseg")
        commands = {
            "help": (*wsseg, "--help"),
            "check": (*wsseg, "recipe", "check", self.recipe),
            "import": ("-c", "import wsseg"),
            "torch": ("-c", "import torch"),
        }
        alternatives = {
            name: lambda words=words: run_python(*words) for name, words in commands.items()
        }
        seconds = time_in_turns(alternatives, self.repeats)
        yield Measurement("wsseg --help", seconds["help"], "s", most=0.3)
        yield Measurement('python -c "import wsseg"', seconds["import"], "s")
        yield Measurement('python -c "import torch"', seconds["torch"], "s")
        yield Measurement(f"wsseg recipe check {self.recipe}", seconds["check"], "s")
        both = zip(seconds["check"], seconds["torch"], strict=True)
        beyond = tuple(check - torch for check, torch in both)
        yield Measurement(
            f"wsseg recipe check {self.recipe}, beyond import torch", beyond, "s", most=1
        )
        imported = subprocess.run([sys.executable, "-c", IMPORTS_TORCH], check=False).returncode  # noqa: S603
        yield Measurement("import wsseg imports torch (1: yes)", (float(imported),), "", most=0)


def run_python(*words: str) -> None:
    """Run Python; raise an error if its exit code is not 0."""
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
