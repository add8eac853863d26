"""`make` installs for each command the parts it needs, and says what it does and why it fails."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.parts import tool

ROOT = Path(__file__).resolve().parents[3]
SETUP = ROOT / "tools" / "setup.sh"
ALL = {"run", "vault", "edge", "observe", "models", "llama", "test"}

# A Python whose pip says what is in PIP_SAYS and ends with PIP_EXIT: the neighbour of setup.sh.
PIP = """#!/bin/sh
[ "$2" = pip ] || exit 1
[ "$3" != --version ] || exit 0
echo "PYTHONPATH=$PYTHONPATH $@" >> "$(dirname "$0")/calls"
printf '%b' "$PIP_SAYS"
exit "${PIP_EXIT:-0}"
"""


@pytest.mark.parametrize(
    ("arguments", "environment", "installed", "parts"),
    [
        ("run VAULT=0 EDGE= OBSERVE=0", {}, set(), {"run"}),
        ("run VAULT=1 EDGE=1", {}, set(), {"run", "vault", "edge"}),
        ("run OBSERVE=1", {}, set(), {"run", "observe"}),
        ("run", {"EDGE": "1"}, set(), {"run", "edge"}),
        ("run EDGE=1", {}, {"run"}, {"edge"}),
        ("models", {}, set(), {"run", "models"}),
        ("test", {}, set(), ALL),
        ("lint", {}, set(), ALL),
        # A missing Prometheus does not install the tests again.
        ("test", {}, ALL - {"observe"}, {"observe"}),
    ],
)
def test_a_command_installs_what_it_needs(
    tmp_path: Path,
    arguments: str,
    environment: dict[str, str],
    installed: set[str],
    parts: set[str],
) -> None:
    venv = _marked(tmp_path / "venv", installed)
    assert _installed_by(venv, arguments.split(), environment) == parts


def test_a_changed_list_of_packages_installs_its_part_again(tmp_path: Path) -> None:
    venv = _marked(tmp_path / "venv", ALL)
    os.utime(venv / ".edge", (0, 0))
    assert _installed_by(venv, ["run", "EDGE=1"], {}) == {"edge"}


def test_large_downloads_and_steps_are_shown(tmp_path: Path) -> None:
    ended = _set_up(
        tmp_path,
        "llama",
        "Collecting xllamacpp==1.2\\n"
        "  Downloading xllamacpp-1.2-cp310-abi3-linux_x86_64.whl (33.8 MB)\\n"
        "  Downloading small-0.1-py3-none-any.whl (7.9 kB)\\n"
        "  Downloading torch-2.13.0-cp311-linux_x86_64.whl (1.2 GB)\\n"
        "Installing collected packages: small, xllamacpp\\n",
    )
    assert ended.returncode == 0
    for line in ("llama: 1 packages", "fetching xllamacpp 1.2, 33 MB", "fetching torch 2.13.0, 1 GB",
                 "unpacking 2 packages", "llama: ready"):  # fmt: skip
        assert line in ended.stderr
    assert "small" not in ended.stderr
    assert (tmp_path / "venv" / ".llama").is_file()


def test_packages_are_installed_by_hash_and_nothing_is_compiled(tmp_path: Path) -> None:
    _set_up(tmp_path, "llama", "")
    (call,) = (tmp_path / "venv" / "bin" / "calls").read_text().splitlines()
    for option in ("--require-hashes", "--no-deps", "--only-binary=:all:"):
        assert option in call


def test_the_tools_that_pack_are_not_taken_for_installed(tmp_path: Path) -> None:
    """Pip leaves out what it finds on PYTHONPATH: the list of wheels is installed without it."""
    _set_up(tmp_path, "run", "")
    calls = (tmp_path / "venv" / "bin" / "calls").read_text().splitlines()
    wheels, tools, packed, ours = (call for call in calls if " install " in call)
    assert re.fullmatch(r"PYTHONPATH= .*run-wheels\.txt", wheels)
    assert re.fullmatch(r"PYTHONPATH= .*--target .*build\.txt", tools)
    assert re.fullmatch(r"PYTHONPATH=/.*run-packed\.txt", packed)
    assert re.fullmatch(rf"PYTHONPATH=/.* -e {ROOT}/libs/client -e {ROOT}/libs/cli -e {ROOT}", ours)


def test_a_failure_of_pip_s_ends_it_with_what_pip_said(tmp_path: Path) -> None:
    ended = _set_up(tmp_path, "llama", "ERROR: No matching distribution\\n", status=1)
    assert ended.returncode != 0
    assert "ERROR: No matching distribution" in ended.stderr
    assert "setup.log" in ended.stderr
    assert "ready" not in ended.stderr
    assert not (tmp_path / "venv" / ".llama").exists()


@pytest.mark.parametrize("version", ["3.10", "3.15", "2.7"])
def test_another_python_is_refused_with_what_is_needed(tmp_path: Path, version: str) -> None:
    fake = tmp_path / "python"
    major, minor = version.split(".")
    # It answers the question for its version as that Python would.
    fake.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo Python {version}.0 && exit\n'
        f"exec {sys.executable} -c \"import sys; sys.version_info = ({major}, {minor}, 0); exec('''$2''')\"\n"
    )
    fake.chmod(0o755)
    ended = _run_setup(tmp_path / "new", ["run"], {"PYTHON": str(fake)})
    assert ended.returncode == 1
    assert f"Python 3.11 to 3.14 is needed, and {fake} is none (Python {version}.0)" in ended.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "at least one part"),
        (["vaults"], "there is no part vaults"),
        (["llama", "all"], "there is no part all"),
        ([""], "there is no part"),
    ],
)
def test_without_a_part_that_there_is_it_installs_nothing_and_says_how_to_call_it(
    tmp_path: Path, parts: list[str], said: str
) -> None:
    ended = _run_setup(tmp_path / "new", parts, {})
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "usage: setup.sh FOLDER PART..." in ended.stderr
    assert all(part in ended.stderr for part in ALL)
    assert not (tmp_path / "new").exists()


# What apt-get and dpkg do on a machine: neither is there, a download fails, or the packages are
# there and hold programs that do not run.
_APT = {
    "no Debian": {},
    "no network": {"apt-get": "echo 'E: Unable to fetch some archives' >&2; exit 100", "dpkg": ""},
    "no words": {"apt-get": "exit 1", "dpkg": ""},
    "does not run": {"apt-get": "case $* in *download*) touch a.deb;; esac", "dpkg": ""},
}


@pytest.mark.parametrize("machine", _APT)
@pytest.mark.parametrize("optional", ["", "observe"])
def test_programs_that_cannot_be_had_are_not_marked_as_installed(
    tmp_path: Path, machine: str, optional: str
) -> None:
    programs = _programs(tmp_path / "programs", _APT[machine])
    ended = _set_up(tmp_path, "observe", "", PATH=str(programs), OPTIONAL_PARTS=optional)
    assert ended.returncode == (0 if optional else 1), ended.stderr
    assert re.search(r"observe: .*alertmanager.* could not be installed \(.+\)", ended.stderr)
    assert ("going on without" in ended.stderr) == bool(optional)
    assert "ready" not in ended.stderr
    assert not (tmp_path / "venv" / ".observe").exists()


def test_programs_of_the_system_are_taken_and_marked(tmp_path: Path) -> None:
    names = ("prometheus", "promtool", "alertmanager", "amtool")
    programs = _programs(tmp_path / "programs", dict.fromkeys(names, ""))
    ended = _set_up(tmp_path, "observe", "", PATH=str(programs))
    assert ended.returncode == 0, ended.stderr
    assert "observe: ready" in ended.stderr
    assert (tmp_path / "venv" / ".observe").is_file()


@pytest.mark.parametrize(
    ("arguments", "ci", "optional"),
    [
        (["run", "OBSERVE=1"], "", ""),
        (["run", "OBSERVE=1"], "true", ""),
        (["test"], "", "observe"),
        (["lint"], "", "observe"),
        (["test"], "true", ""),
    ],
)
def test_prometheus_may_be_missing_for_tests_alone_and_never_in_ci(
    tmp_path: Path, arguments: list[str], ci: str, optional: str
) -> None:
    venv = _marked(tmp_path / "venv", ALL - {"observe"})
    # In the place of bash: it says what it was called with.
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\necho "$2 OPTIONAL_PARTS=$OPTIONAL_PARTS"\n')
    shell.chmod(0o755)
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"include {ROOT}/Makefile\nSHELL := {shell}\n")
    printed = subprocess.run(
        [tool("make", "apt-get install make"), "-f", makefile, *arguments, f"VENV={venv}"],
        cwd=ROOT, env={**_environment(), "CI": ci}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"bash tools/setup.sh {venv} observe OPTIONAL_PARTS={optional}\n" in printed.stdout, (
        printed.stdout
    )


@pytest.mark.parametrize("rest", [[], ["pyvenv.cfg"], ["pyvenv.cfg", "bin/python"]], ids=str)
def test_an_environment_whose_making_was_interrupted_is_made_anew(
    tmp_path: Path, rest: list[str]
) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    for name in rest:
        (venv / name).write_text("#!/bin/sh\nexit 1\n")
        (venv / name).chmod(0o755)
    # In the place of the machine's Python: the environments that it makes have a pip that works.
    base = tmp_path / "base"
    base.write_text(
        f'#!/bin/sh\n[ "$2" = venv ] || exec {sys.executable} "$@"\n'
        f"[ ! -e $3/bin/python ] || exit 1\nmkdir -p $3/bin && cp {tmp_path}/pip $3/bin/python\n"
    )
    (tmp_path / "pip").write_text(PIP)
    for name in ("base", "pip"):
        (tmp_path / name).chmod(0o755)
    ended = _run_setup(venv, ["llama"], {"PYTHON": str(base), "PIP_SAYS": ""})
    assert ended.returncode == 0, ended.stderr
    assert ("is removed and made anew" in ended.stderr) == bool(rest)
    assert (venv / ".llama").is_file()


@pytest.mark.parametrize(
    ("arguments", "installed", "warned"),
    [
        (["TORCH_INDEX=https://example.com/cpu"], {"models"}, True),
        (["TORCH=torch==2.12.0"], {"models"}, True),
        (["TORCH_INDEX=https://example.com/cpu"], set(), False),
        ([], {"models"}, False),
    ],
)
def test_another_pytorch_for_an_environment_that_has_one_is_warned_of(
    tmp_path: Path, arguments: list[str], installed: set[str], warned: bool
) -> None:
    printed = _make(_marked(tmp_path / "venv", installed), ["models", *arguments], {})
    assert ("run `make clean` first" in printed.stderr) == warned


def test_no_advice_names_a_command_that_does_not_install_what_is_missing() -> None:
    """No message says to call setup.sh without a part, or to install without the locked versions."""
    bad = re.compile(
        r"setup\.sh \.venv(?! (?:run|vault|edge|observe|models|llama|test)\b)"
        r"|pip install (?:-e|--editable|--no-deps|'?(?:xllamacpp|rotel)) ?"
    )
    files = [path for top in ("libs", "services", "tools", "tests", "deploy", "docs")
             for path in (ROOT / top).rglob("*")
             if path.suffix in (".py", ".md", ".yaml", ".sh")] + [ROOT / "README.md"]  # fmt: skip
    assert len(files) > 500
    assert {
        str(path.relative_to(ROOT)): result
        for path in files
        if path not in (Path(__file__), SETUP) and (result := bad.findall(path.read_text("utf-8")))
    } == {}


def _marked(venv: Path, parts: set[str]) -> Path:
    """An environment in which these parts are marked as installed, all at one time."""
    venv.mkdir()
    for part in parts:
        (venv / f".{part}").touch()
        os.utime(venv / f".{part}", (2**32, 2**32))
    return venv


def _environment() -> dict[str, str]:
    """That of this process without what would change the call of `make`."""
    ours = ("VAULT", "EDGE", "OBSERVE", "MAKEFLAGS", "TORCH", "TORCH_INDEX")
    return {name: value for name, value in os.environ.items() if name not in ours}


def _programs(folder: Path, scripts: dict[str, str]) -> Path:
    """A folder for PATH with what setup.sh itself calls, and with these shell scripts."""
    folder.mkdir()
    for name in ("bash", "sh", "dirname", "mktemp", "rm", "grep", "du", "cut", "touch", "mkdir",
                 "cat", "chmod", "ln", "readlink", "awk", "tail"):  # fmt: skip
        (folder / name).symlink_to(tool(name, f"apt-get install {name}"))
    # Root would change folders of the system.
    for name, script in {"id": "echo 1000", **scripts}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


def _make(
    venv: Path, arguments: list[str], environment: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    """What `make` prints that it would do, without doing it."""
    return subprocess.run(
        [tool("make", "apt-get install make"), "-n", *arguments, f"VENV={venv}"],
        cwd=ROOT, env={**_environment(), **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip


def _installed_by(venv: Path, arguments: list[str], environment: dict[str, str]) -> set[str]:
    """The parts that `make` would install."""
    begin = f"bash tools/setup.sh {venv} "
    lines = _make(venv, arguments, environment).stdout.splitlines()
    return {line.removeprefix(begin) for line in lines if line.startswith(begin)}


def _set_up(
    folder: Path, part: str, said: str, status: int = 0, **environment: str
) -> "subprocess.CompletedProcess[str]":
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PIP)
    python.chmod(0o755)
    return _run_setup(
        folder / "venv", [part], {"PIP_SAYS": said, "PIP_EXIT": str(status), **environment}
    )


def _run_setup(
    venv: Path, parts: list[str], environment: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [tool("bash", "apt-get install bash"), SETUP, venv, *parts],
        env={**os.environ, "PYTHONPATH": "", **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
