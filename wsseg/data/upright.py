"""Arrays that were turned, in one piece of memory again: where it will do, in that which they had.

A scan is the largest thing in memory, and a copy would hold two of it for a moment.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from wsseg.overlap import done_in_threads

T = TypeVar("T", bound=np.generic)


def upright(turned: NDArray[T]) -> NDArray[T]:
    """Return what a view shows, (Z, H, W), in C order.

    If it was only flipped, its memory is used for that, and what it was a view of is no more.
    """
    flips = tuple(slice(None, None, -1 if step < 0 else 1) for step in turned.strides)
    voxels = turned[flips]  # as they lie in memory
    if not (voxels.flags.c_contiguous and voxels.flags.writeable):
        return np.ascontiguousarray(turned)
    partner = range(len(voxels))[flips[0]]  # slice z comes to where its partner lies

    def swap(z: int) -> None:
        first, second = voxels[z][flips[1:]].copy(), voxels[partner[z]][flips[1:]].copy()
        voxels[z], voxels[partner[z]] = second, first

    done_in_threads(swap, [z for z in partner if z <= partner[z]])
    return voxels
