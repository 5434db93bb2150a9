"""What a template includes: files from the folder of its spec, read before anything is rendered."""

from __future__ import annotations

from typing import Final

import jinja2
from jinja2 import nodes

from omnirt.errors import OmnirtError
from omnirt.specs.documents import inside, read_text
from omnirt.specs.problems import Place

MAX_INCLUDES: Final = 50
MAX_BYTES: Final = 256 * 1024
"""Of one included file."""
MAX_TAGS: Final = 4_000
"""`{{` and `{%` in a template and all it includes: compiling costs about 50 µs each."""


def sources(template: str, name: str, environment: jinja2.Environment, place: Place) -> dict[str, str]:
    """The text of every file that a template includes, and of those that they include, by name.

    Raises:
        jinja2.TemplateSyntaxError: In a template; it includes itself; a file is missing or stands elsewhere.
    """
    found: dict[str, str] = {}
    _walk(template, name, (), found, environment, place)
    return found


def _walk(
    template: str,
    name: str,
    above: tuple[str, ...],
    found: dict[str, str],
    environment: jinja2.Environment,
    place: Place,
) -> None:
    tags = sum(text.count("{{") + text.count("{%") for text in (template, *found.values()))
    if tags > MAX_TAGS:
        raise jinja2.TemplateSyntaxError(f"more than {MAX_TAGS} tags", 0, name)
    if "include" not in template:
        return
    for node in environment.parse(template, name, name).find_all(nodes.Include):
        if not (isinstance(node.template, nodes.Const) and isinstance(node.template.value, str)):
            raise jinja2.TemplateSyntaxError(
                "write the name of what is included in quotes", node.lineno, name
            )
        part = node.template.value
        if part in above:
            raise jinja2.TemplateSyntaxError(f"`{part}` includes itself", node.lineno, name)
        if part in found:
            continue
        if len(found) == MAX_INCLUDES:
            raise jinja2.TemplateSyntaxError(
                f"more than {MAX_INCLUDES} files are included", node.lineno, name
            )
        try:
            found[part] = read_text(inside(part, place), MAX_BYTES, place)
        except OmnirtError as error:
            what = error.message.removesuffix(f" (at {place.path}).")
            raise jinja2.TemplateSyntaxError(f"`{part}`: {what}", node.lineno, name) from None
        _walk(found[part], part, (*above, part), found, environment, place)
