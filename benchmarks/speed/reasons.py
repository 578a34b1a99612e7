"""Why requirements may not be met; the page shows the reason of each that is not."""

from collections.abc import Mapping

PRODUCTS = (
    "Convolutions become faster by the factor between a bfloat16 and a float32 product (see limits)"
)
SHARED_WORK = "Reading the scan, finding the lung and writing the mask take the same time in both"

REASONS: Mapping[tuple[str, str], str] = {  # by subject and name
    ("train", "training, wsseg / plain PyTorch"): (
        f"{PRODUCTS}; batch norm, activations and sums, which are limited by memory, become at "
        "most twice as fast."
    ),
    ("train", "training, rate relative to the matrix product"): (
        "Between two convolutions, batch norm, activations and sums read and write memory, in the "
        "forward and the backward pass, at best at the rate of a copy. The faster the product, the "
        "larger their share of the time. Only fused kernels would avoid this; `compiled` shows "
        "what torch.compile gains that way."
    ),
    ("predict", "speed-up over plain PyTorch, not cropped"): (
        f"{SHARED_WORK}. {PRODUCTS}, which alone may be less than what is required."
    ),
    ("predict", "further speed-up by cropping to the lungs"): (
        f"{SHARED_WORK}, and the box with its margin is a large part of a slice that shows only "
        "the chest. The slower the network, the more cropping gains: see the row in float32 below."
    ),
    ("predict", "network's rate relative to a bfloat16 matrix product"): (
        "The levels at full resolution have few channels: they are limited by memory, not by "
        "products, and the more so the faster the product is."
    ),
    ("prepare", "speed-up over the authors' code"): (
        "Decompressing the file, which the authors' code must do as well, is a large part of the "
        "time of wsseg."
    ),
}
