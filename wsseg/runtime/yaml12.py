"""YAML 1.2 for PyYAML, which follows YAML 1.1 by default.

In YAML 1.2, `yes`, `no`, `on`, `off`, `1:30`, `1_000` and `2001-01-31` are text, and `010` is 10.

Source: YAML 1.2.2, section 10.3 "Core schema".
"""

import re
from typing import Any

import yaml

PREFIX = "tag:yaml.org,2002:"  # followed by null, bool, int, float, str, seq, map, ...

# the first characters of the scalars, and the scalars of each type
SCALARS = {
    "null": ("~nN", r"~|null|Null|NULL|"),
    "bool": ("tTfF", r"true|True|TRUE|false|False|FALSE"),
    "int": ("-+0123456789", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": (
        "-+.0123456789",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    ),
}


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - as PyYAML defines it

    def construct_yaml_bool(self, node: yaml.ScalarNode) -> bool:
        """Return a bool.

        Raises:
            ValueError: The text is not a bool.
        """
        return _matched("bool", node).lower() == "true"

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Return an integer, which can be octal (0o17) or hexadecimal (0xf).

        Raises:
            ValueError: The text is not an integer.
        """
        text = _matched("int", node)
        return int(text, 0 if text.startswith(("0o", "0x")) else 10)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        """Return a float.

        Raises:
            ValueError: The text is not a float.
        """
        return float(re.sub(r"\.(?=[a-zA-Z])", "", _matched("float", node)))


class Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper; it quotes text that YAML 1.1 or YAML 1.2 would not read as text."""


def dump(value: object, **options: Any) -> str:
    """Return plain values as YAML; `options` are those of `yaml.dump`."""
    text: str = yaml.dump(value, Dumper=Dumper, **options)
    return text


def load(text: str) -> Any:
    """Return the value of YAML text.

    Raises:
        yaml.YAMLError: The text is not valid YAML.
    """
    loader = Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _matched(name: str, node: yaml.ScalarNode) -> str:
    text = str(node.value)
    if not re.fullmatch(SCALARS[name][1], text):
        raise ValueError(f"not a YAML value of type {name}")
    return text


for _name, (_first, _pattern) in SCALARS.items():
    _characters = [*_first, *([""] if _name == "null" else [])]
    _regexp = re.compile(rf"^(?:{_pattern})$")
    for _of in (Loader, Dumper):
        _of.add_implicit_resolver(PREFIX + _name, _regexp, _characters)
for _name in ("bool", "int", "float"):
    Loader.add_constructor(PREFIX + _name, getattr(Loader, f"construct_yaml_{_name}"))
