"""A cache with nothing in it, so that what is timed is done and not looked up."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

NAME = "WSSEG_CACHE"


@contextmanager
def empty_cache() -> Iterator[None]:
    """Keep what wsseg prepares in a new folder until the block ends."""
    before = os.environ.get(NAME)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ[NAME] = folder
        try:
            yield
        finally:
            os.environ.pop(NAME)
            if before is not None:
                os.environ[NAME] = before
