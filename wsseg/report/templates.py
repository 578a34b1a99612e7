"""The Jinja templates of this package."""

from functools import cache

import jinja2


@cache
def template(name: str) -> jinja2.Template:
    """Return a template, which escapes values and refuses unknown names."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wsseg", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
