"""The name of this machine's processor, with the extensions that decide its precision."""

import platform
from pathlib import Path

BFLOAT16_EXTENSIONS = ("avx512_bf16", "amx_bf16")


def processor() -> str:
    """Return the model of the CPU, with the extensions by which it computes in bfloat16."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    extensions = [name for name in BFLOAT16_EXTENSIONS if any(name in line for line in lines)]
    return " with ".join([names[0] if names else platform.machine(), *extensions])
