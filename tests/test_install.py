"""What install.py adds to an environment, and what it leaves alone: the real script and the real pip, on tiny wheels.

The wheels have the names, files and requirements of the real ones; the network is not used.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest requires it there

ROOT = Path(__file__).parents[1]
INSTALL = ROOT / "install.py"
CPU = "onnxruntime"
OTHERS = {"onnx", "requests", "scikit-image", "scipy", "tqdm"}

# name, version, what it puts into site-packages, what it requires
PACKAGES = [
    ("numpy", "1.26.4", {"numpy.py": ""}, []),
    ("numpy", "2.4.6", {"numpy.py": ""}, []),
    ("onnx", "1.23.2", {"onnx.py": ""}, ["numpy>=1.23.2"]),
    ("requests", "2.34.2", {"requests.py": ""}, []),
    ("scikit-image", "0.25.2", {"skimage.py": ""}, ["numpy>=1.24"]),
    ("scikit-image", "0.26.0", {"skimage.py": ""}, ["numpy>=2.0"]),
    ("scipy", "1.17.1", {"scipy.py": ""}, ["numpy>=1.26.4"]),
    ("tqdm", "4.70.1", {"tqdm.py": ""}, []),
    ("opencv-python", "5.0.0.93", {"cv2/__init__.py": ""}, ["numpy"]),
    ("opencv-contrib-python", "5.0.0.93", {"cv2/__init__.py": ""}, ["numpy"]),
    ("opencv-python-headless", "5.0.0.93", {"cv2/__init__.py": ""}, ["numpy"]),
    ("insightface", "0.7.3", {"insightface.py": ""}, [*sorted(OTHERS)]),
    ("insightface", "1.0.1", {"insightface.py": ""}, [*sorted(OTHERS), CPU, "opencv-python"]),
    ("insightface", "2.1", {"insightface.py": ""}, [*sorted(OTHERS), CPU, "opencv-python"]),
    ("onnxruntime-extensions", "0.15.2", {"onnxruntime_extensions.py": ""}, []),
    ("optimum", "2.1.0", {"optimum/onnxruntime/__init__.py": ""}, []),
]
# The CPU build and the others, all of which write the folder `onnxruntime`; PROVIDER tells whose file lies there.
RUNTIMES = {
    CPU: "CPU",
    "onnxruntime-gpu": "CUDA",
    "onnxruntime-directml": "Dml",
    "onnxruntime-rocm": "ROCM",
    "onnxruntime-openvino": "OpenVINO",
    "onnxruntime-migraphx": "MIGraphX",
    "onnxruntime-silicon": "CoreML",
    "ort-nightly-gpu": "CUDA nightly",
}
PACKAGES += [
    (name, "1.31.1", {"onnxruntime/__init__.py": f"PROVIDER = {provider!r}\n"}, ["numpy>=1.21.6"])
    for name, provider in RUNTIMES.items()
]

WITHOUT_RUNTIME = (
    *("numpy==2.4.6", "onnx==1.23.2", "requests==2.34.2", "scikit-image==0.26.0", "scipy==1.17.1", "tqdm==4.70.1"),
    *("opencv-python==5.0.0.93", "insightface==2.1"),
)


def build_wheel(folder: Path, name: str, version: str, files: dict[str, str], requires: list[str]) -> Path:
    stem = f"{name.replace('-', '_')}-{version}"
    about = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    contents = files | {
        f"{stem}.dist-info/METADATA": "\n".join(about) + "\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    contents[f"{stem}.dist-info/RECORD"] = record + f"{stem}.dist-info/RECORD,,\n"
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """{"name==version": wheel}, all in one folder."""
    folder = tmp_path_factory.mktemp("wheels")
    return {f"{package[0]}=={package[1]}": build_wheel(folder, *package) for package in PACKAGES}


@pytest.fixture(scope="module")
def pip_only(tmp_path_factory):
    """A folder with nothing but pip in it, for environments to see."""
    folder = tmp_path_factory.mktemp("pip")
    shutil.copytree(Path(importlib.util.find_spec("pip").origin).parent, folder / "pip")
    return folder


@dataclass(frozen=True)
class Environment:
    """A virtual environment whose pip finds the tiny wheels and nothing else."""

    python: Path
    packages: Path
    wheels: dict[str, Path]
    variables: dict[str, str]

    def has(self, *packages: str) -> None:
        """Put packages there as they are after ``pip install --no-deps``; the last one overwrites."""
        for package in packages:
            with zipfile.ZipFile(self.wheels[package]) as archive:
                archive.extractall(self.packages)

    def run(self, *arguments: object, **more: object) -> subprocess.CompletedProcess:
        command = [self.python, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=self.variables, cwd=ROOT, **more)

    def install(self, status: int = 0) -> str:
        """Run install.py; what it printed. Fails the test when its exit status is another one."""
        run = self.run(INSTALL)
        assert run.returncode == status, run.stdout + run.stderr
        assert "Traceback" not in run.stderr
        return run.stdout

    def versions(self) -> dict[str, str]:
        code = "from importlib.metadata import distributions as d; print(*{f'{x.name}=={x.version}' for x in d()})"
        found = self.run("-I", "-c", code).stdout.split()
        return dict(one.split("==") for one in found)

    def provider(self) -> str:
        return self.run("-I", "-c", "import onnxruntime; print(onnxruntime.PROVIDER)").stdout.strip()


@pytest.fixture
def bare(tmp_path, wheels):
    """An environment without pip, as uv makes them."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=os.name != "nt")
    inner = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    python = (tmp_path / "venv").joinpath(*inner)
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-I", "-c", purelib], capture_output=True, text=True, check=True).stdout.strip()
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "UV_"))}
    offline = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(next(iter(wheels.values())).parent),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COMPILE": "1",
        "PATH": os.defpath,  # no uv of the machine's own
    }
    return Environment(python, Path(packages), wheels, own | offline)


@pytest.fixture
def environment(bare, pip_only):
    (bare.packages / "pip_only.pth").write_text(f"{pip_only}\n")
    return bare


@pytest.mark.slow
def test_pip_alone_takes_the_gpu_runtime_away(environment):
    environment.has("onnxruntime-gpu==1.31.1", "numpy==2.4.6")
    assert environment.run("-m", "pip", "install", "insightface").returncode == 0
    assert environment.provider() == "CPU", "the trap these tests are about"


@pytest.mark.slow
def test_an_empty_environment_gets_the_cpu_runtime_and_a_second_run_starts_no_pip(environment):
    said = environment.install()
    first = environment.versions()
    assert set(first) == OTHERS | {"numpy", "opencv-python-headless", CPU, "insightface"}
    assert environment.provider() == "CPU"
    assert said.endswith("FaceID Tunes: insightface 2.1, onnxruntime 1.31.1: faces can be found.\n")
    (environment.packages / "pip_only.pth").unlink()
    assert "faces can be found" in environment.install()
    assert environment.versions() == first


@pytest.mark.slow
def test_what_is_there_stays_as_it_is_the_gpu_runtime_first_of_all(environment):
    before = {"onnxruntime-gpu": "1.31.1", "numpy": "1.26.4", "opencv-contrib-python": "5.0.0.93"}
    before |= {"requests": "2.34.2", "scipy": "1.17.1", "tqdm": "4.70.1"}
    environment.has(*(f"{name}=={version}" for name, version in before.items()))
    environment.install()
    after = environment.versions()
    assert environment.provider() == "CUDA"
    assert before.items() <= after.items()
    assert set(after) == OTHERS | {"insightface", *before}, "no second runtime, no second OpenCV"
    assert after["scikit-image"] == "0.25.2", "the newest one that numpy 1 allows"


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != CPU])
def test_a_runtime_of_any_name_is_one(environment, runtime):
    environment.has(f"{runtime}==1.31.1", *WITHOUT_RUNTIME)
    before = environment.versions()
    assert f"{runtime} 1.31.1: faces can be found" in environment.install()
    assert environment.provider() == RUNTIMES[runtime]
    assert environment.versions() == before


@pytest.mark.slow
def test_packages_that_are_only_named_after_the_runtime_are_none(environment):
    environment.has("onnxruntime-extensions==0.15.2", "optimum==2.1.0", *WITHOUT_RUNTIME)
    environment.install()
    assert environment.provider() == "CPU"


@pytest.mark.slow
def test_a_runtime_and_an_opencv_built_here_stay(environment):
    environment.has(*(package for package in WITHOUT_RUNTIME if "opencv" not in package))
    before = environment.versions()
    for module in ("onnxruntime", "cv2"):
        (environment.packages / f"{module}.py").touch()
    environment.install()
    assert environment.versions() == before


@pytest.mark.slow
def test_a_version_pip_cannot_read_does_not_stop_it(environment):
    odd = environment.packages / "odd-2.0_dev.dist-info"
    odd.mkdir()
    (odd / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 2.0 (mine)\n")
    environment.has(*WITHOUT_RUNTIME)
    environment.install()
    assert environment.provider() == "CPU"


@pytest.mark.slow
def test_what_other_installers_and_broken_uninstalls_left_behind_does_not_stop_it(environment):
    environment.has(*(package for package in WITHOUT_RUNTIME if package[:5] not in ("scipy", "sciki")))
    environment.has("onnxruntime-gpu==1.31.1")
    (environment.packages / "nameless-1.0.dist-info").mkdir()
    (environment.packages / "scikit_image-0.26.0.dist-info").mkdir()
    written = "Metadata-Version: 2.1\nName: Scikit_Image\nVersion: 0.26.0\n"
    (environment.packages / "scikit_image-0.26.0.dist-info" / "METADATA").write_text(written)
    said = environment.install()
    assert "insightface 2.1, onnxruntime-gpu 1.31.1: faces can be found" in said
    assert "Successfully installed scipy-1.17.1" in said and "scikit" not in said, "that one is there, by another name"


@pytest.mark.slow
def test_nothing_is_built_from_source(environment, tmp_path):
    (tmp_path / "scipy-99.0.tar.gz").write_bytes(b"would take a compiler")
    environment.variables["PIP_FIND_LINKS"] += f" {tmp_path}"
    environment.has("onnxruntime-gpu==1.31.1", *(package for package in WITHOUT_RUNTIME if "scipy" not in package))
    environment.install()
    assert environment.versions()["scipy"] == "1.17.1"


def test_it_runs_as_a_module_too(environment):
    environment.has("onnxruntime-gpu==1.31.1", *WITHOUT_RUNTIME)
    (environment.packages / "faceid_tunes").symlink_to(ROOT, target_is_directory=True)
    run = environment.run("-m", "faceid_tunes.install")
    assert run.stdout == "FaceID Tunes: insightface 2.1, onnxruntime-gpu 1.31.1: faces can be found.\n"


def commands(said: str) -> list[list[str]]:
    """The indented commands of a message, without the interpreter."""
    return [line.split('" ')[1].replace('"', "").split() for line in said.splitlines() if line.startswith('    "')]


@pytest.mark.slow
def test_two_runtimes_in_one_folder_are_reported_with_the_commands_that_repair_them(environment):
    environment.has("onnxruntime-gpu==1.31.1", "onnxruntime==1.31.1", *WITHOUT_RUNTIME)
    said = environment.install()
    assert "onnxruntime-gpu and onnxruntime are installed into one folder" in said
    assert environment.provider() == "CPU"
    assert commands(said) == [
        ["-m", "pip", "uninstall", "--yes", "onnxruntime"],
        ["-m", "pip", "install", "--force-reinstall", "--no-deps", "onnxruntime-gpu==1.31.1"],
    ]
    for command in commands(said):
        assert environment.run(*command).returncode == 0
    assert environment.provider() == "CUDA"
    assert CPU not in environment.versions()
    assert "one folder" not in environment.install()


@pytest.mark.slow
def test_a_runtime_hollowed_out_by_an_uninstall_is_reported_not_replaced(environment):
    environment.has("onnxruntime-gpu==1.31.1", *WITHOUT_RUNTIME)
    (environment.packages / "onnxruntime" / "__init__.py").unlink()
    said = environment.install(status=1)
    assert "onnxruntime-gpu: installed, but the files are missing" in said
    assert CPU not in environment.versions()
    assert commands(said) == [["-m", "pip", "install", "--force-reinstall", "--no-deps", "onnxruntime-gpu==1.31.1"]]
    for command in commands(said):
        environment.run(*command)
    assert environment.provider() == "CUDA"
    environment.install()


@pytest.mark.slow
@pytest.mark.parametrize("old", ["0.7.3", "1.0.1"])
def test_somebody_elses_old_insightface_is_left_to_the_user(environment, old):
    environment.has("onnxruntime-gpu==1.31.1", *WITHOUT_RUNTIME[:-1], f"insightface=={old}")
    said = environment.install(status=1)
    assert f"insightface {old} is installed, and finding faces needs 2.0 or newer" in said
    assert environment.versions()["insightface"] == old
    assert commands(said) == [["-m", "pip", "install", "--upgrade", "--no-deps", "insightface>=2.0"]]
    environment.run(*commands(said)[0])
    environment.install()
    assert environment.provider() == "CUDA"


@pytest.mark.slow
def test_where_downloads_stop_it_says_what_is_still_missing(environment, tmp_path):
    shutil.copy(environment.wheels["onnx==1.23.2"], tmp_path)
    environment.variables["PIP_FIND_LINKS"] = str(tmp_path)
    environment.has("onnxruntime-gpu==1.31.1", "requests==2.34.2", "tqdm==4.70.1", "numpy==2.4.6")
    said = environment.install(status=1)
    assert "not installed: scikit-image, scipy, opencv-python-headless, insightface>=2.0." in said
    assert commands(said) == [[str(INSTALL)]], "the command to run again"


UV = """
import os, subprocess, sys
pip, action, option, python = sys.argv[1:5]
assert (pip, option, python) == ("pip", "--python", sys.executable), sys.argv
variables = os.environ | {"PYTHONPATH": %r}
sys.exit(subprocess.run([python, "-m", "pip", action, *sys.argv[5:]], env=variables).returncode)
"""


@pytest.mark.slow
def test_uv_installs_where_there_is_no_pip(bare, pip_only):
    (bare.packages / "uv").mkdir()
    (bare.packages / "uv" / "__init__.py").touch()
    (bare.packages / "uv" / "__main__.py").write_text(UV % str(pip_only))  # takes uv's arguments, works by pip
    bare.has(*WITHOUT_RUNTIME[:-1], "onnxruntime-gpu==1.31.1", "onnxruntime==1.31.1")
    said = bare.install()
    assert "insightface" in bare.versions()
    assert commands(said)[0][:3] == ["-m", "uv", "pip"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the uv of this test is a script with a #! line")
def test_a_uv_on_the_path_installs_too(bare, pip_only, tmp_path):
    (tmp_path / "bin").mkdir()
    uv = tmp_path / "bin" / "uv"
    uv.write_text(f"#!{bare.python}\n{UV % str(pip_only)}")
    uv.chmod(0o755)
    bare.variables["PATH"] += os.pathsep + str(tmp_path / "bin")
    bare.has(*WITHOUT_RUNTIME[:-1], "onnxruntime-gpu==1.31.1")
    bare.install()
    assert "insightface" in bare.versions() and bare.provider() == "CUDA"


def test_neither_pip_nor_uv_is_said(bare):
    assert "neither pip nor uv is installed" in bare.install(status=1)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="process groups and SIGINT are POSIX")
def test_ctrl_c_while_pip_downloads_ends_with_130_and_nothing_installed(environment):
    with socket.create_server(("127.0.0.1", 0)) as server:
        variables = {name: value for name, value in environment.variables.items() if name != "PIP_NO_INDEX"}
        variables |= {"PIP_INDEX_URL": f"http://127.0.0.1:{server.getsockname()[1]}/", "PIP_FIND_LINKS": ""}
        process = subprocess.Popen(
            [environment.python, INSTALL], env=variables, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        server.accept()  # pip waits for an answer from now on
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert environment.versions() == {}


def named(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in requirements}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]


def test_no_requirement_of_ours_lets_pip_choose_a_runtime():
    for requirements in (PROJECT["dependencies"], REQUIREMENTS, *EXTRAS.values()):
        assert not named(requirements) & {CPU, "insightface"}
    naming_one = [extra for extra, requirements in EXTRAS.items() if any(CPU in name for name in named(requirements))]
    assert naming_one == ["gpu"]


def test_comfyui_manager_installs_every_dependency_but_those_of_comfyui():
    assert named(REQUIREMENTS) == named(PROJECT["dependencies"]) - {"numpy", "pillow", "torch"}


def test_every_dependency_states_its_lowest_version_and_both_lists_the_same():
    ours = (*PROJECT["dependencies"], *EXTRAS["standalone"], *EXTRAS["heif"], *EXTRAS["postgres"])
    assert not [one for one in (*ours, *REQUIREMENTS) if ">=" not in one.partition(";")[0]]
    assert {one.replace('"', "'") for one in REQUIREMENTS} <= set(ours)


def test_no_version_of_a_shared_library_is_capped():
    shared = {"numpy", "torch", "opencv-python", "opencv-python-headless", "scikit-image", "scipy", "transformers"}
    for requirements in (PROJECT["dependencies"], REQUIREMENTS, *EXTRAS.values()):
        assert not [one for one in requirements if named([one]) & shared and re.search(r"<|==|~=", one)]
