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


def set_up(folder: Path, more: str) -> "subprocess.Popen[str]":
    """Start the rule that sets up .venv/ with an interpreter and a pip that only print."""
    (folder / "Makefile").write_bytes((REPOSITORY / "Makefile").read_bytes())
    (folder / "pyproject.toml").touch()
    (folder / "python").write_text(PYTHON.replace("{more}", more))
    (folder / "python").chmod(0o755)
    return subprocess.Popen(
        ["make", "PYTHON=./python", ".venv/.ready"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_setup_shows_its_steps_and_keeps_the_output_of_pip_in_a_file(tmp_path: Path) -> None:
    names = ", ".join(f"package-{number}" for number in range(1, 46))
    setup = set_up(tmp_path, f'echo "Installing collected packages: {names}"')
    out, err = setup.communicate()
    assert setup.returncode == 0, err
    steps = [line.strip() for line in out.splitlines() if line.startswith("  ")]
    assert steps[:3] == [
        "20 packages found",
        "40 packages found",
        "downloading torch-2.9.0-cp311-manylinux.whl (899.8 MB)",
    ]
    assert "installing 45 packages" in steps
    log = (tmp_path / ".venv" / "install.log").read_text()
    assert "Collecting package-7>=1" in log
    assert "a warning of a package" in log
    assert "a warning of a package" not in out + err
    assert (tmp_path / ".venv" / ".ready").exists()


WAIT_UNTIL_SHOWN = """\
echo "Installing collected packages: $(seq -s ', ' 45)"
for step in $(seq 50); do [ -e shown ] && exit 0; sleep 0.1; done
exit 1
"""


def test_the_setup_shows_a_step_when_it_begins(tmp_path: Path) -> None:
    """The pip of this test, which runs twice, fails unless the test has seen its last line."""
    setup = set_up(tmp_path, WAIT_UNTIL_SHOWN)
    assert setup.stdout is not None
    for line in setup.stdout:
        if line == "  installing 45 packages\n":
            (tmp_path / "shown").touch()
    assert setup.wait() == 0


@pytest.mark.parametrize("status", [1, 2])
def test_a_failed_setup_shows_the_end_of_the_log_and_its_path(tmp_path: Path, status: int) -> None:
    setup = set_up(tmp_path, f'echo "ERROR: no matching distribution" >&2\nexit {status}')
    out, _ = setup.communicate()
    assert setup.returncode != 0
    assert "ERROR: no matching distribution\n" in out
    assert "The full log is .venv/install.log\n" in out
    assert not (tmp_path / ".venv" / ".ready").exists()
