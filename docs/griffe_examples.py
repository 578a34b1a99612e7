"""A griffe extension that shows the Example sections of docstrings as code."""

import re
from typing import Any

import griffe


class ExampleSections(griffe.Extension):
    """Renames sections `Example:` to `Examples:`, which griffe parses as interactive sessions."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the sections of one docstring."""
        if obj.docstring is not None:
            text = obj.docstring.value
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
