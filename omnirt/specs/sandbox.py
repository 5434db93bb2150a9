"""The Jinja2 sandbox: no way to the process, and a bound on time, memory and length.

Jinja2's own sandbox keeps a template from Python's internals, but lets it loop and grow without end. So every
step of a loop, every call and every filter costs one of a fixed number of steps; every value that a template
makes is measured as if written out (a list that holds itself twice, sixty times over, is small in memory
only); and filters and methods that make much of little are bounded versions of their own, or not there.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from omnirt.specs.sandbox_values import (
    TemplateBudgetError,
    bounded_format,
    bounded_indent,
    bounded_join,
    bounded_range,
    bounded_replace,
    bounded_round,
    collect,
    refuse_growth,
    weighed,
)

MAX_STEPS: Final = 20_000
"""Steps of all loops, calls and filters together."""
MAX_SECONDS: Final = 1.0
"""A second line of defence behind the steps, looked at with each of them."""
FILE_PREFIX: Final = "<included> "
"""Marks the frames of included templates in a traceback."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SAFE_FILTERS: Final = _words(
    "abs capitalize count d default dictsort e escape first float int items last length list lower map max "
    "min reject rejectattr reverse safe select selectattr sort string striptags sum title tojson trim "
    "truncate unique upper urlencode wordcount"
)
SAFE_METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: _words(
        "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower "
        "isnumeric isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex "
        "rpartition rsplit rstrip split splitlines startswith strip swapcase title upper"
    ),
    int: frozenset(),  # to_bytes makes a gigabyte of a 1
    float: _words("is_integer"),
    dict: _words("get items keys values"),
    list: _words("count index"),
    tuple: _words("count index"),
}


class Sandbox:
    """An environment for one rendering, with its steps and what it missed.

    One per rendering: a shared one would carry state from session to session.
    """

    def __init__(self) -> None:
        self.undefined: dict[str, None] = {}  # a dict keeps the order and drops doubles
        self._steps = MAX_STEPS
        self._deadline = time.monotonic() + MAX_SECONDS
        self.environment = _Environment(self)

    def provide(self, sources: Mapping[str, str]) -> None:
        """Lets templates include these, by name."""

        def source(name: str) -> tuple[str, str, Callable[[], bool]] | None:
            text = sources.get(name)
            return None if text is None else (text, FILE_PREFIX + name, lambda: True)

        self.environment.loader = jinja2.FunctionLoader(source)

    def step(self) -> None:
        """Pays for one step of a loop or one call."""
        self._steps -= 1
        if self._steps < 0:
            raise TemplateBudgetError("it loops too long")
        if time.monotonic() > self._deadline:
            raise TemplateBudgetError("it takes too long")

    def metered(self, iterable: Iterable[Any]) -> Iterator[Any]:
        """`iterable`, each of its members paid for."""
        for member in iterable:
            self.step()
            yield member

    def guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter that costs a step and whose result is measured."""

        @functools.wraps(function)  # keeps the mark by which Jinja2 knows what to pass first
        def guard(*args: Any, **kwargs: Any) -> Any:
            self.step()
            return weighed(function(*args, **kwargs))

        return guard


class _Namespace(Namespace):
    """A namespace whose text is short: Jinja2's own writes out all that is in it."""

    def __repr__(self) -> str:
        return "<namespace>"


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox with the meter built in."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(undefined=_undefined_for(sandbox), keep_trailing_newline=False, auto_reload=False)
        self._sandbox = sandbox
        self.concat = collect  # type: ignore[method-assign]  # typed as str.join, but only called
        own: dict[str, Callable[..., Any]] = {
            "format": bounded_format,
            "indent": bounded_indent,
            "join": functools.partial(bounded_join, self),
            "replace": bounded_replace,
            "round": bounded_round,
            "concatenate": collect,
            "measured": weighed,
        }
        kept = {name: self.filters[name] for name in SAFE_FILTERS}
        self.filters = {name: sandbox.guarded(function) for name, function in {**kept, **own}.items()}
        self.filters["metered"] = sandbox.metered
        self.globals = {name: self.globals[name] for name in ("dict", "cycler", "joiner")}
        self.globals |= {"namespace": _Namespace, "range": bounded_range}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        for node in template.find_all((nodes.Import, nodes.FromImport, nodes.Extends)):
            raise jinja2.TemplateSyntaxError(
                "of other templates only `include` is allowed", node.lineno, name
            )
        for loop in template.find_all(nodes.For):
            if loop.recursive:
                raise jinja2.TemplateSyntaxError("recursive loops are not allowed", loop.lineno, name)
        _rewrite(template)
        template.set_environment(self)
        return template

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        self._sandbox.step()
        return weighed(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        refuse_growth(operator, left, right)
        return weighed(super().call_binop(context, operator, left, right))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        for kind, names in SAFE_METHODS.items():
            if isinstance(obj, kind):
                return attr in names
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Leaves `"…".format` to `is_safe_attribute`, which refuses it: its widths have no bound."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> jinja2.Undefined:
        raise SecurityError(f"access to `{attribute}` of a {type(obj).__name__} is not allowed")


def _undefined_for(sandbox: Sandbox) -> type[jinja2.Undefined]:
    """A class whose values render empty, and tell their name when they do."""

    class Reported(jinja2.ChainableUndefined):
        __slots__ = ()

        def _report(self) -> None:
            if self._undefined_name:
                sandbox.undefined.setdefault(str(self._undefined_name))

        def __str__(self) -> str:
            self._report()
            return ""

        def __iter__(self) -> Iterator[Any]:
            self._report()
            return iter(())

        def __len__(self) -> int:
            self._report()
            return 0

    return Reported


def _filtered(name: str, node: nodes.Node) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _rewrite(node: nodes.Node) -> None:
    """Puts the meter into loops, and the measure around every text and container that the template makes."""
    for name, value in node.iter_fields():
        if isinstance(value, list):
            value[:] = [_replaced(member) for member in value]
        elif isinstance(value, nodes.Node):
            setattr(node, name, _replaced(value))
    if isinstance(node, nodes.For):
        node.iter = _filtered("metered", node.iter)


def _replaced(value: Any) -> Any:
    if not isinstance(value, nodes.Node):
        return value
    _rewrite(value)
    match value:
        case nodes.Concat():
            return _filtered("concatenate", nodes.List(value.nodes, lineno=value.lineno))
        case nodes.List() | nodes.Dict():
            return _filtered("measured", value)
        case nodes.Tuple() if value.ctx == "load":
            return _filtered("measured", value)
        case _:
            return value
