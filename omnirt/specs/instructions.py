"""Renders the instructions of an agent: Jinja2, sandboxed and metered."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from omnirt.specs.problems import Place

if TYPE_CHECKING:
    import jinja2

    from omnirt.specs.sandbox import Sandbox

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
        template: Jinja2. It may include files from the folder of the spec.
        names: Variables, see `template_names`.
        place: Where the template stands, for the error; its file, for what it includes.

    Raises:
        OmnirtError: Of the place's kind, with `line`.
    """
    if "{" not in template:
        return Rendered(template, ())  # Nothing to render: no need to load Jinja2.
    sandbox, parsed = _compile(template, place)
    try:
        return Rendered(_text(parsed, names), tuple(sandbox.undefined))
    except Exception as error:  # noqa: BLE001 - a template can raise whatever the operations it names raise
        raise _explained(error, place) from None


def check_template(template: str, names: Mapping[str, Any], place: Place) -> None:
    """Raises what `render` would, unless it is for want of a name: a session may still give it."""
    if "{" not in template:
        return
    import jinja2

    sandbox, parsed = _compile(template, place)
    try:
        _text(parsed, names)
    except Exception as error:  # noqa: BLE001 - as above
        if not sandbox.undefined and not isinstance(error, jinja2.UndefinedError):
            raise _explained(error, place) from None


def _compile(template: str, place: Place) -> tuple[Sandbox, jinja2.Template]:
    import jinja2

    from omnirt.specs.includes import sources
    from omnirt.specs.sandbox import Sandbox

    sandbox = Sandbox()
    try:
        sandbox.provide(sources(template, TEMPLATE_NAME, sandbox.environment, place))
        compiled = sandbox.environment.compile(template, TEMPLATE_NAME, TEMPLATE_NAME)
        return sandbox, jinja2.Template.from_code(
            sandbox.environment, compiled, dict(sandbox.environment.globals)
        )
    except Exception as error:  # noqa: BLE001 - Jinja2 hands on what Python's compiler raises
        raise _explained(error, place) from None


def _text(template: jinja2.Template, names: Mapping[str, Any]) -> str:
    import jinja2

    from omnirt.specs.sandbox_values import collect

    text = collect(template.generate(names))
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise jinja2.TemplateRuntimeError("it holds a lone surrogate (half a character), which can't be sent")
    return text


def _explained(error: Exception, place: Place) -> Exception:
    """A failure of the template in words, with its line."""
    import jinja2

    from omnirt.specs.sandbox_values import TemplateBudgetError

    name, line = _where(error)
    match error:
        case jinja2.TemplateSyntaxError():
            name, line, what = error.name, error.lineno, error.message or "syntax error"
        case TemplateBudgetError() | jinja2.TemplateError():
            what = str(error)
        case RecursionError():
            what = "it calls itself too deeply"
        case MemoryError():
            what = "it needs too much memory"
        case _:
            what = type(error).__name__
    where = f", line {line}" if line else ""
    part = f" of {name}" if where and name not in (None, TEMPLATE_NAME) else ""
    return place.problem(f"The instructions can't be rendered{where}{part}: {what[:300]}", line=line or None)


def _where(error: BaseException) -> tuple[str | None, int | None]:
    """The template and its line: Jinja2 puts frames of the templates into the traceback."""
    from omnirt.specs.sandbox import FILE_PREFIX

    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == TEMPLATE_NAME:
            return None, frame.lineno
        if frame.filename.startswith(FILE_PREFIX):
            return frame.filename.removeprefix(FILE_PREFIX), frame.lineno
    return None, None
