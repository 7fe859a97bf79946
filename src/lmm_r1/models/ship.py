"""Put a trained tiny model where the repository ships it: `python -m lmm_r1.models.ship <export> <folder>`."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from lmm_r1.atomic_files import replacing

LARGEST_BYTES = 10 * 1024**2
CHECKSUMS = "SHA256SUMS"


def ship(export: Path, folder: Path) -> dict[str, str]:
    """Replace `folder` by `export` and write the checksum of each file beside them; returns the checksums.

    Raises ValueError where the files are too large for a repository.
    """
    files = sorted(path for path in export.iterdir() if path.is_file())
    size = sum(path.stat().st_size for path in files)
    if size > LARGEST_BYTES:
        raise ValueError(f"{export} holds {size / 1024**2:.1f} MB, more than {LARGEST_BYTES / 1024**2:.0f} MB")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as partial:
        partial.mkdir()
        for path in files:
            shutil.copy(path, partial / path.name)
        checksums = {path.name: sha256(partial / path.name) for path in files}
        lines = [f"{digest}  {name}\n" for name, digest in checksums.items()]
        (partial / CHECKSUMS).write_text("".join(lines))
    return checksums


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    for name, digest in ship(Path(sys.argv[1]), Path(sys.argv[2])).items():
        print(digest, name)
