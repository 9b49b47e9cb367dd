"""docs/extending: each page's blocks are applied to a copy of the sources, its script runs there, and so do
the tests that the new piece has to pass.

A block says behind its language where it belongs: `title=PATH`, and `after='LINE'` or `before='LINE'` of that
file; without these it stands at the end, or is a new file.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mpcc

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/extending").glob("*.md"))
ROOMS = ("ir", "passes", "compiler", "runtime", "codegen_templates")
BLOCK = re.compile(r"^```(?:python|markdown) ([^\n]+)\n(.*?)^```$", re.M | re.S)
PROTOCOLS = "tests/runtime/protocols"
WHOLE = ("tests/ci/test_operations_are_complete.py", f"{PROTOCOLS}/test_registry.py")
CHOSEN = (  # of a new kind
    f"{PROTOCOLS}/test_conformance.py",
    "tests/security/views/test_protocols.py",
    "tests/security/test_protocol_pages.py",
    "tests/runtime/two_party/test_generation.py",
)
TESTED = {"protocol": "cube", "correlation": "to_number"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package, and the tests of protocols."""
    package = Path(mpcc.__path__[0])
    skipped = shutil.ignore_patterns("__pycache__", "src")
    for room in ROOMS:
        shutil.copytree(package / room, tmp_path / "mpcc" / room, ignore=skipped)
    (tmp_path / "mpcc/__init__.py").touch()
    for folder in ("docs/protocols", PROTOCOLS, "tests/runtime/two_party", "tests/security", "tests/ci"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=skipped)
    for package_file in ("tests/__init__.py", "tests/runtime/__init__.py"):
        shutil.copy(ROOT / package_file, tmp_path / package_file)
    return tmp_path


def apply(page: Path, copy: Path) -> None:
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        places = dict(word.split("=", 1) for word in shlex.split(found[1]))
        title = places.pop("title")
        room = title.split("/")[0] if "/" in title else ""
        path = copy / "mpcc" / title if room in ROOMS else copy / title
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if places:
            ((side, line),) = places.items()
            assert text.count(f"\n{line}\n") == 1, f"{page.name}: {title} has no line {line!r}"
            both = (line, found[2].rstrip("\n")) if side == "after" else (found[2].rstrip("\n"), line)
            path.write_text(text.replace(f"\n{line}\n", "\n{}\n{}\n".format(*both)), encoding="utf-8")
        else:
            path.write_text(f"{text}\n\n{found[2]}" if text else found[2], encoding="utf-8")


def python(copy: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_example_works(page: Path, copy: Path) -> None:
    apply(page, copy)
    assert (copy / "mpcc").samefile(python(copy, "-c", "import mpcc; print(mpcc.__path__[0])").strip())
    python(copy, "try.py")
    kind = TESTED.get(page.stem)
    tests = (*WHOLE, *CHOSEN) if kind else WHOLE[:1]
    chosen = " or ".join((*(Path(test).stem for test in WHOLE), *([kind] if kind else [])))
    said = python(copy, "-m", "pytest", "-v", "-p", "no:cacheprovider", *tests, "-k", chosen)
    for test in tests:
        assert re.search(rf"^{test}::\S.* PASSED", said, re.M), test


def test_every_page_has_blocks_and_a_script() -> None:
    assert {page.stem for page in PAGES} == {"operation", "approximation", "protocol", "correlation"}
    for page in PAGES:
        titles = [found[1].split()[0] for found in BLOCK.finditer(page.read_text(encoding="utf-8"))]
        assert titles[-1] == "title=try.py"
