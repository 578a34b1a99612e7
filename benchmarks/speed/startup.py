"""How long a user waits before anything happens."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.speed.timing import REPEATS, Row, by_turns

SEES_TORCH = "import sys, wsseg; sys.exit('torch' in sys.modules)"


@dataclass(frozen=True)
class Startup:
    """New processes, from their start to their end. What importing torch costs is not ours."""

    recipe: str = "covid/phi2"
    repeats: int = REPEATS

    def measure(self) -> Iterator[Row]:
        """Yield times, and whether `import wsseg` imports torch."""
        wsseg = ("-m", "wsseg")
        commands = {
            "help": (*wsseg, "--help"),
            "check": (*wsseg, "recipe", "check", self.recipe),
            "import": ("-c", "import wsseg"),
            "torch": ("-c", "import torch"),
        }
        ways = {name: lambda words=words: python(*words) for name, words in commands.items()}
        seconds = by_turns(ways, self.repeats)
        yield Row("wsseg --help", seconds["help"], "s", most=0.3)
        yield Row('python -c "import wsseg"', seconds["import"], "s")
        yield Row('python -c "import torch"', seconds["torch"], "s")
        yield Row(f"wsseg recipe check {self.recipe}", seconds["check"], "s")
        both = zip(seconds["check"], seconds["torch"], strict=True)
        beyond = tuple(check - torch for check, torch in both)
        yield Row(f"wsseg recipe check {self.recipe}, beyond import torch", beyond, "s", most=1)
        imported = subprocess.run([sys.executable, "-c", SEES_TORCH], check=False).returncode  # noqa: S603
        yield Row("import wsseg imports torch (1: yes)", (float(imported),), "", most=0)


def python(*words: str) -> None:
    """Run Python to its end; raise where that is not a good one."""
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
