"""Which processes there are, from /proc."""

from __future__ import annotations

from pathlib import Path


def descendants(process: int) -> set[int]:
    """The living children of a process, their children, and so on."""
    parents = {int(folder.name): parent for folder in Path("/proc").glob("[0-9]*") if (parent := _parent(folder))}
    found, grown = set(), {process}
    while grown:
        grown = {child for child, parent in parents.items() if parent in grown} - found
        found |= grown
    return found


def alive(process: int) -> bool:
    return _parent(Path(f"/proc/{process}")) is not None


def peak_memory(process: int) -> int:
    """The most memory that a process has had at once, in bytes; 0 where it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    peaks = [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")]
    return peaks[0] if peaks else 0


def _parent(folder: Path) -> int | None:
    """None where the process is gone or a zombie."""
    try:
        state, parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else int(parent)
