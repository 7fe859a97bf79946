"""Makes a CUDA build of torchvision importable beside a CPU build of torch.

Qwen2.5-VL's processor imports torchvision for resizing, which is pure torch code. The wheel's compiled extension wants
CUDA libraries; without them torchvision skips it silently, and then fails all the same with `operator
torchvision::nms does not exist`, because torchvision 0.28 attaches Python implementations to two operators, `nms`
and `qnms`, that only the extension would have declared. Declaring their signatures is enough: nothing in this
project calls them, and calling one still raises a clear "no kernel" error.

The declaration lives in this process alone. A subprocess that imports torchvision needs it too.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
"""From torchvision 0.28.0, torchvision/csrc/ops/nms.cpp and quantized/cpu/qnms_kernel.cpp."""


def make_torchvision_importable() -> None:
    """Import torchvision, declaring its missing operators first where its extension cannot be loaded.

    Does nothing more than `import torchvision` where torchvision is sound, and nothing where it is not installed
    or already imported.
    """
    if "torchvision" in sys.modules:
        return
    package = importlib.util.find_spec("torchvision")
    if package is None:
        return
    declarations = None
    if not _extension_loads(package):
        declarations = torch.library.Library("torchvision", "FRAGMENT")
        for schema in SCHEMAS:
            declarations.define(schema)
    import torchvision

    # torch drops the declarations together with the object that made them, so the module keeps it alive.
    torchvision.operator_declarations = declarations


def _extension_loads(package: importlib.machinery.ModuleSpec) -> bool:
    """Whether the compiled operators load here: the question torchvision asks itself in `torchvision.extension`."""
    extension = importlib.machinery.PathFinder.find_spec("_C", package.submodule_search_locations)
    if extension is None:
        return False
    try:
        torch.ops.load_library(extension.origin)
    except OSError:
        return False
    return True
