"""The memory of a process after blocks were freed, in a process of its own."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
from pathlib import Path
from resource import getpagesize
from wsseg.runtime.device import keep_small_memory
from wsseg.runtime.freed_memory import return_freed_memory

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize() / 2**20

keep_small_memory()
before = resident_mib()
blocks = [b"x" * 2**23 for _ in range(32)]  # 256 MiB
del blocks
kept = resident_mib()
return_freed_memory()
print(kept - before, resident_mib() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory")
def test_freed_blocks_are_kept_until_they_are_returned_to_the_system() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    kept, returned = map(float, result.stdout.split())
    assert kept > 250
    assert returned < 10
