"""Renders the instructions of an agent: Jinja2, sandboxed and metered."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from omnirt.specs.problems import Place

TEMPLATE_NAME: Final = "<instructions>"


class Rendered(NamedTuple):
    """The text, and the names that the template used and nobody gave."""

    text: str
    undefined: tuple[str, ...]


def template_names(context: Mapping[str, Any], *variables: Mapping[str, Any] | None) -> dict[str, Any]:
    """The names a template sees: the context and its members, below the variables, the later ones on top."""
    names: dict[str, Any] = {"context": dict(context), **context}
    for layer in variables:
        names.update(layer or {})
    return names


def render(template: str, names: Mapping[str, Any], place: Place) -> Rendered:
    """The text of a template.

    Undefined names render empty and are told. A broken template, one that reaches for the process, or one
    that does not end soon is an error: a voice that reads raw braces aloud is worse.

    Args:
        template: Jinja2.
        names: Variables, see `template_names`.
        place: Where the template stands, for the error.

    Raises:
        OmnirtError: Of the place's kind, with `line`.
    """
    if "{" not in template:
        return Rendered(template, ())  # Nothing to render: no need to load Jinja2.
    import jinja2

    from omnirt.specs.sandbox import MAX_TAGS, Sandbox
    from omnirt.specs.sandbox_values import TemplateBudgetError, collect

    if template.count("{{") + template.count("{%") > MAX_TAGS:
        raise _broken(f"more than {MAX_TAGS} tags", None, place)
    sandbox = Sandbox()
    try:
        compiled = sandbox.environment.compile(template, TEMPLATE_NAME, TEMPLATE_NAME)
        parsed = jinja2.Template.from_code(sandbox.environment, compiled, dict(sandbox.environment.globals))
        text = collect(parsed.generate(names))
    except jinja2.TemplateSyntaxError as error:
        raise _broken(error.message or "syntax error", error.lineno, place) from None
    except TemplateBudgetError as error:
        raise _broken(str(error), _line(error), place) from None
    except RecursionError as error:
        raise _broken("it calls itself too deeply", _line(error), place) from None
    except MemoryError as error:
        raise _broken("it needs too much memory", _line(error), place) from None
    except Exception as error:  # noqa: BLE001 - a template can raise whatever the operations it names raise
        what = str(error) if isinstance(error, jinja2.TemplateError) else type(error).__name__
        raise _broken(what, _line(error), place) from None
    return Rendered(text, tuple(sandbox.undefined))


def _broken(what: str, line: int | None, place: Place) -> Exception:
    where = f", line {line}" if line is not None else ""
    return place.problem(f"The instructions can't be rendered{where}: {what[:300]}", line=line)


def _line(error: BaseException) -> int | None:
    """The template's line: Jinja2 puts frames of the template into the traceback."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == TEMPLATE_NAME
    ]
    return lines[-1] if lines else None
