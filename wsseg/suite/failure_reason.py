"""The reason for a job's failure, shown in the report: the error and the line that raised it."""

import sysconfig
import traceback
from pathlib import Path

from wsseg.components.registry import registry
from wsseg.errors import InputError, WorkError

OWN_PACKAGE = __name__.partition(".")[0]
THIRD_PARTY_FOLDERS = ("site-packages", "dist-packages")
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


def failure_reason(error: Exception) -> str:
    """Return an error's message; for an unexpected error, also its type and line of code.

    The line is the innermost one in a plugin, the user's code or wsseg: a line in a library such as
    torch does not show what must be fixed.
    """
    if isinstance(error, InputError | WorkError | OSError):
        return str(error)
    lines = [
        (Path(frame.f_code.co_filename), line, str(frame.f_globals.get("__name__", "")))
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [each for each in lines if _is_own(each[0], each[2])]
    path, line, _ = (own or lines)[-1]
    return f"{type(error).__name__}: {error} ({path.name}:{line})"


def _is_own(path: Path, module: str) -> bool:
    """Return whether code belongs to wsseg, to a plugin, or to no installed package."""
    package = module.partition(".")[0]
    if package == OWN_PACKAGE or package in _plugin_packages():
        return True
    is_installed = any(part in THIRD_PARTY_FOLDERS for part in path.parts)
    is_source = not path.name.startswith("<")  # as in <frozen importlib._bootstrap>
    return is_source and not is_installed and not path.is_relative_to(STANDARD_LIBRARY)


def _plugin_packages() -> set[str]:
    parts = (offer.part for offer in registry().offers.values())
    return {part.__module__.partition(".")[0] for part in parts if isinstance(part, type)}
