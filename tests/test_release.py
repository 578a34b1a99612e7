"""The files of a release: versions, distributions, citation, workflows and templates."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
PARTS = sorted(path.parent for path in REPOSITORY.glob("*/*/pyproject.toml"))
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
TEMPLATES = sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def project(folder: Path) -> dict[str, object]:
    found = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(found["project"])


VERSION = project(REPOSITORY)["version"]


def name_of(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("part", PARTS, ids=name_of)
def test_the_version_of_every_distribution_comes_from_the_pyproject_of_wsseg(part: Path) -> None:
    found = tomllib.loads((part / "pyproject.toml").read_text(encoding="utf-8"))
    assert found["project"]["dynamic"] == ["version"]
    assert "version" not in found["project"]
    path = part / found["tool"]["hatch"]["version"]["path"]
    assert path.resolve() == REPOSITORY / "pyproject.toml"


def test_the_citation_and_the_changelog_name_the_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == VERSION
    assert citation["cff-version"] == "1.2.0"
    assert f"\n## {VERSION}" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("part", PARTS, ids=name_of)
def test_every_distribution_has_a_copy_of_the_licence(part: Path) -> None:
    """A build finds the file by its name."""
    assert (part / "LICENSE").read_bytes() == (REPOSITORY / "LICENSE").read_bytes()


def test_a_distribution_built_from_its_sdist_has_the_version_and_licence_of_wsseg(
    tmp_path: Path,
) -> None:
    """The sdist does not contain the pyproject.toml of wsseg."""

    def build(kind: str, folder: Path) -> Path:
        command = f"import hatchling.build as b; print(b.build_{kind}({str(tmp_path)!r}))"
        done = subprocess.run(
            [sys.executable, "-c", command], cwd=folder, check=True, capture_output=True, text=True
        )
        return tmp_path / done.stdout.strip()

    with tarfile.open(build("sdist", REPOSITORY / "plugins" / "wsseg-ct")) as archive:
        archive.extractall(tmp_path, filter="data")
    wheel = build("wheel", tmp_path / f"wsseg_ct-{VERSION}")
    assert wheel.name == f"wsseg_ct-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as built:
        assert f"wsseg_ct-{VERSION}.dist-info/licenses/LICENSE" in built.namelist()
    [found] = metadata.distributions(path=[str(wheel)], name="wsseg-ct")
    assert found.version == VERSION


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_has_jobs_with_few_permissions_and_steps_of_make(path: Path) -> None:
    workflow = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    assert {"name", "on", "permissions", "jobs"} <= set(workflow)
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert all("@" in step["uses"] for step in steps if "uses" in step)
    targets = [step["run"].split()[-1] for step in steps if step.get("run", "").startswith("make ")]
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert targets
    assert all(f"\n{target}: " in makefile for target in targets)


def test_the_workflows_test_every_version_of_python_that_the_package_states() -> None:
    tests = yaml.safe_load((REPOSITORY / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    classifiers = project(REPOSITORY)["classifiers"]
    assert isinstance(classifiers, list)
    stated = [
        text.rpartition(" ")[2]
        for text in classifiers
        if text.startswith("Programming Language :: Python :: 3.")
    ]
    assert tests["jobs"]["test"]["strategy"]["matrix"]["python"] == stated
    assert stated == ["3.11", "3.12", "3.13"]


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_an_issue_template_has_fields_with_labels(path: Path) -> None:
    template = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        return
    assert {"name", "description", "body"} <= set(template)
    fields = [field for field in template["body"] if field["type"] != "markdown"]
    assert fields
    assert all(field["attributes"]["label"] and field["id"] for field in fields)


def test_the_image_copies_files_that_exist() -> None:
    lines = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert copied
    assert [word for word in copied if not (REPOSITORY / word).exists()] == []
    context = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{word}" for word in copied} <= set(context)
    [command] = [line for line in lines if line.startswith("CMD ")]
    assert (REPOSITORY / yaml.safe_load(command.removeprefix("CMD "))[3]).is_file()
