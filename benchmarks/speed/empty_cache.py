"""An empty cache, so that results are computed while they are timed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

NAME = "WSSEG_CACHE"


@contextmanager
def empty_cache() -> Iterator[None]:
    """Use a new folder as the cache of wsseg within the block."""
    before = os.environ.get(NAME)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ[NAME] = folder
        try:
            yield
        finally:
            os.environ.pop(NAME)
            if before is not None:
                os.environ[NAME] = before
