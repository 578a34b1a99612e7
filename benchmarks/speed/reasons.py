"""Why requirements may not be met; the page shows the reason of each that is not."""

from collections.abc import Mapping

PRODUCTS = (
    "On a CPU with bfloat16, convolutions become faster by the factor between a bfloat16 and a "
    "float32 product (see limits); without it, wsseg computes in float32 as plain PyTorch does"
)
SHARED_WORK = "Reading the scan, finding the lung and writing the mask take the same time in both"

REASONS: Mapping[tuple[str, str], str] = {  # by subject and name
    ("train", "training, wsseg / plain PyTorch"): (
        f"{PRODUCTS}. Batch norm, activations and sums, which are limited by memory, become at "
        "most twice as fast in bfloat16."
    ),
    ("train", "training, share of the roofline"): (
        'The rows "training, time lost by ..." below name the kinds of layers that are slower than '
        "their limits, and by how much."
    ),
    ("predict", "speed-up over plain PyTorch, not cropped"): (f"{SHARED_WORK}. {PRODUCTS}."),
    ("predict", "further speed-up by cropping to the lungs"): (
        f"{SHARED_WORK}, and the box with its margin is a large part of a slice that shows only "
        "the chest. The slower the network, the more cropping gains: see the row in float32 below."
    ),
    ("predict", "network, share of the roofline"): (
        'The rows "network, time lost by ..." below name the kinds of layers that are slower than '
        "their limits, and by how much."
    ),
    ("prepare", "speed-up over the authors' code"): (
        "Decompressing the file, which the authors' code must do as well, is a large part of the "
        "time of wsseg."
    ),
    ("startup", "wsseg recipe check covid/phi2, beyond import torch"): (
        'All imports take longer on a slower machine: compare the row of "import torch" below '
        "between machines."
    ),
}
