"""Tests that wsseg works without the modules and functions that only POSIX systems have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT_POSIX = """\
import os, signal, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"):
    sys.modules[name] = None  # an import raises ImportError
for name in ("fork", "forkpty", "sched_getaffinity", "getuid", "killpg", "getpgid", "setsid"):
    delattr(os, name) if hasattr(os, name) else None
for name in ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGALRM"):
    delattr(signal, name) if hasattr(signal, name) else None
"""

IMPORT_ALL = """\
import importlib, pkgutil, wsseg
for module in pkgutil.walk_packages(wsseg.__path__, "wsseg."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""

HELP = """\
from wsseg.cli import main
sys.argv = ["wsseg", "--help"]
main()
"""

LOCK_AND_LEASE = """\
from pathlib import Path
from wsseg.errors import InputError
from wsseg.runtime.cache_leases import exclusive_prune, lease, release
from wsseg.runtime.files import cache_folder
from wsseg.runtime.folder_lock import lock_folder
with lock_folder(Path("out")):
    try:
        with lock_folder(Path("out")):
            print("locked twice")
    except InputError:
        print("refused")
lease(cache_folder() / "prepared" / "a")
with exclusive_prune() as leased:
    print(leased)
release(cache_folder() / "prepared" / "a")
with exclusive_prune() as leased:
    print(leased)
"""


def run_without_posix(program: str, folder: Path) -> str:
    """Run a program without what only POSIX systems have; return its output."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_POSIX + program],
        cwd=folder,
        env=os.environ | {"WSSEG_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_import_wsseg_needs_no_posix_module(tmp_path: Path) -> None:
    assert run_without_posix("import wsseg; print(wsseg.Case.__name__)", tmp_path) == "Case\n"


def test_wsseg_help_needs_no_posix_module(tmp_path: Path) -> None:
    assert "train" in run_without_posix(HELP, tmp_path)


@pytest.mark.slow
def test_every_module_can_be_imported_without_posix_modules(tmp_path: Path) -> None:
    run_without_posix(IMPORT_ALL, tmp_path)


def test_locks_and_leases_work_without_posix_modules(tmp_path: Path) -> None:
    lines = run_without_posix(LOCK_AND_LEASE, tmp_path).splitlines()
    assert lines == ["refused", "{'prepared/a'}", "set()"]


@pytest.mark.parametrize("program", ["import fcntl", "import os; os.fork()"])
def test_the_tests_really_hide_the_posix_modules(program: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"fcntl|fork"):
        run_without_posix(program, tmp_path)
