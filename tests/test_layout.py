"""The rooms of the package: who may import whom, what they may be called, how large they get."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "trine"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Import order: a package imports from those before it and from itself, never from those after.
ORDER = (
    "errors",
    "_native",
    "ternary",
    "checkpoint",
    "kernels",
    "model",
    "torch",
    "profiling",
    "report",
    "hw",
    "server",
    "cli",
)

# Modules that share a name with the standard library because no other word would do. As
# submodules they shadow nothing: imports are absolute.
STDLIB_NAMES = {
    "profiling/profile.py",  # the Profile, the package's one noun
    "cli/profile.py",  # the verb `trine profile`
}

PYTHON_LINES = 400
ISA_LINES = 250


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def from_root(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    """The entry of ORDER that a file belongs to; "" for the package's own __init__."""
    first = path.relative_to(PACKAGE).parts[0]
    name = first.removesuffix(".py")
    return {"__init__": "", "__main__": "cli"}.get(name, name)


def imported_rooms(path: Path) -> set[str]:
    """Which rooms a file imports, inside functions too; "" for names of the package itself."""
    names: set[str] = set()
    tree = ast.parse(path.read_text())
    if path == PACKAGE / "__init__.py":
        # What only type checkers read is no import.
        tree.body = [node for node in tree.body if not _for_type_checkers(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: imports are absolute"
            if node.module == "trine":
                names.update(f"trine.{alias.name}" for alias in node.names)
            elif node.module:
                names.add(node.module)
    ours = (name.split(".") for name in names if name.split(".")[0] == "trine")
    rooms = {parts[1] if len(parts) > 1 else "" for parts in ours}
    return {"" if room.startswith("__") else room for room in rooms}


def _for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def first_comment(path: Path, mark: str) -> str:
    """The first line of a file that is a comment, without its mark."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return next((line.removeprefix(mark).strip() for line in lines if line.startswith(mark)), "")


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_nothing_imports_upwards(path: Path) -> None:
    room = room_of(path)
    if room == "":
        assert imported_rooms(path) == set(), "trine/__init__.py does no work at import"
        return
    assert room in ORDER, f"{room} has no place in the import order"
    allowed = {"", *ORDER[: ORDER.index(room) + 1]}
    assert imported_rooms(path) <= allowed


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_module_is_named_after_the_standard_library(path: Path) -> None:
    name = path.parent.name if path.name == "__init__.py" else path.stem
    assert name not in sys.stdlib_module_names or relative(path) in STDLIB_NAMES


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))], ids=from_root)
def test_a_long_python_file_says_why(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= PYTHON_LINES or first_comment(path, "#").startswith("Long because"), (
        f"{lines} lines; split it, or begin it with a comment '# Long because ...'"
    )


@pytest.mark.parametrize("path", sorted((ROOT / "native" / "isa").iterdir()), ids=lambda p: p.name)
def test_an_isa_file_stays_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= ISA_LINES


def test_the_order_finds_an_upward_import(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from trine.cli import main\n    import trine.errors\n")
    assert imported_rooms(path) == {"cli", "errors"}


def test_the_public_names_are_sorted_and_exist() -> None:
    import trine

    assert trine.__all__ == sorted(trine.__all__)
    assert all(hasattr(trine, name) for name in trine.__all__)


def test_no_conflict_of_a_merge_was_committed() -> None:
    tracked = subprocess.run(
        ["git", "grep", "-nE", "^(<<<<<<<|>>>>>>>)( |$)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    # 1: no line matches; with another code git failed.
    assert (tracked.returncode, tracked.stdout) == (1, ""), tracked.stderr
