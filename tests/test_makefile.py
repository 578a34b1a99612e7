"""The Makefile sets up the environment with signs of progress, and keeps the output of pip."""

import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PYTHON = """\
#!/bin/sh
[ "$2" = venv ] || exit 0
mkdir -p .venv/bin
cat > .venv/bin/python <<'END'
#!/bin/sh
echo "Obtaining file:///folder"
for package in $(seq 45); do echo "Collecting package-$package>=1 (from wsseg)"; done
echo "  Downloading small-1.0-py3-none-any.whl (12 kB)"
echo "  Downloading torch-2.9.0-cp311-manylinux.whl (899.8 MB)"
echo "a warning of a package" >&2
{more}
END
chmod +x .venv/bin/python
"""


def set_up(folder: Path, more: str) -> subprocess.CompletedProcess[str]:
    """Run the rule that sets up .venv/ with an interpreter and a pip that only print."""
    (folder / "Makefile").write_bytes((REPOSITORY / "Makefile").read_bytes())
    (folder / "pyproject.toml").touch()
    (folder / "python").write_text(PYTHON.replace("{more}", more))
    (folder / "python").chmod(0o755)
    return subprocess.run(
        ["make", "PYTHON=./python", ".venv/.ready"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_setup_shows_its_steps_and_keeps_the_output_of_pip_in_a_file(tmp_path: Path) -> None:
    names = ", ".join(f"package-{number}" for number in range(1, 46))
    done = set_up(tmp_path, f'echo "Installing collected packages: {names}"')
    assert done.returncode == 0, done.stderr
    steps = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert steps[:3] == [
        "20 packages found",
        "40 packages found",
        "downloading torch-2.9.0-cp311-manylinux.whl (899.8 MB)",
    ]
    assert "installing 45 packages" in steps
    log = (tmp_path / ".venv" / "install.log").read_text()
    assert "Collecting package-7>=1" in log
    assert "a warning of a package" in log
    assert "a warning of a package" not in done.stdout + done.stderr
    assert (tmp_path / ".venv" / ".ready").exists()


@pytest.mark.parametrize("status", [1, 2])
def test_a_failed_setup_shows_the_end_of_the_log_and_its_path(tmp_path: Path, status: int) -> None:
    done = set_up(tmp_path, f'echo "ERROR: no matching distribution" >&2\nexit {status}')
    assert done.returncode != 0
    assert "ERROR: no matching distribution\n" in done.stdout
    assert "The full log is .venv/install.log\n" in done.stdout
    assert not (tmp_path / ".venv" / ".ready").exists()
