"""The Jinja templates of this package."""

import jinja2


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
