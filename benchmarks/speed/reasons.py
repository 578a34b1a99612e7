"""Why what is asked may not hold: shown on the page beside a row that does not."""

from collections.abc import Mapping

PRODUCTS = "Convolutions gain what a bfloat16 product gains over a float32 one (see limits)"
SHARED_WORK = "Reading the scan, finding the lung and writing the mask take as long in both"

REASONS: Mapping[tuple[str, str], str] = {  # by subject and row
    ("train", "training, wsseg / plain PyTorch"): (
        f"{PRODUCTS}; batch norm, activations and sums gain at most the half of the memory that "
        "they go through."
    ),
    ("train", "training, share of the matrix product's rate"): (
        "Between two convolutions, batch norm, activation and sums go through memory, forward and "
        "backward, at best at the rate of a copy: the faster the product, the larger their part. "
        "Only kernels that join them would save that; what torch.compile gains so is told in "
        "compiled."
    ),
    ("predict", "wsseg, not cropped, is faster than plain"): (
        f"{SHARED_WORK}. {PRODUCTS}, and that alone may be less than what is asked."
    ),
    ("predict", "cropped to the lung's box, it is faster again"): (
        f"{SHARED_WORK}, and the box, with its margin, is a large part of a slice that shows no "
        "more than the chest. The slower the network is, the more cropping gains: in float32 see "
        "below."
    ),
    ("predict", "the network's rate, of a bfloat16 matrix product's"): (
        "The levels of full size have few channels: they are bound by memory, not by products, "
        "and the more so the faster the product is."
    ),
    ("prepare", "wsseg is faster than the authors' way"): (
        "Inflating the file, which the authors' way has to do as well, is a large part of ours."
    ),
}
