"""Output guardrails of a spec made ready to run: patterns that can't stall, and Python callables.

Patterns are those of Python's `re`, run by the library `regex`, which does not hold the interpreter while it
searches and keeps a time limit. What it can't bound is refused: counts that blow a pattern up.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from omnirt.specs.parts import Guardrail
from omnirt.specs.problems import Place
from omnirt.specs.python_objects import load_object
from omnirt.specs.spec import AgentSpec

if TYPE_CHECKING:
    import regex

MAX_PATTERN: Final = 2000
"""Characters of one pattern."""
MAX_REPEATS: Final = 1000
"""What the counts of a pattern (`{n}`) may multiply to: the library writes repeated groups out, so that a
million takes seconds to compile, and a hundred million bring the process down."""
SEARCH_S: Final = 0.2
"""How long one pattern may search; those that are no fault of their author's take microseconds."""

_COUNT: Final = re.compile(r"\{(\d+)(?:,\d*)?\}")


@dataclass(frozen=True)
class Check:
    """One guardrail: patterns, or a callable.

    Attributes:
        name: As `realtime.guardrailTripped` tells it.
        patterns: None of which may be found in the answer.
        call: Judges the answer; gets its text.
        sdk: Whether `call` is the function of an OutputGuardrail of the SDK: gets context, agent and text.
    """

    name: str
    patterns: tuple[regex.Pattern[str], ...] = ()
    call: Callable[..., Any] | None = None
    sdk: bool = False

    def search(self, text: str) -> bool:
        """Whether a pattern is found. Blocks, for `SEARCH_S` a pattern at most.

        Raises:
            TimeoutError: A pattern took too long.
        """
        return any(pattern.search(text, timeout=SEARCH_S) is not None for pattern in self.patterns)


@dataclass(frozen=True)
class Guardrails:
    """The guardrails of one agent.

    Attributes:
        checks: At least one.
        holds: Whether each sentence is kept back until it has passed.
        debounce: How much text must be new before they run again, in characters.
    """

    checks: tuple[Check, ...]
    holds: bool
    debounce: int


def make_guardrails(spec: AgentSpec, place: Place) -> Guardrails | None:
    """The guardrails of an agent; None without any. Blocks when it has Python ones.

    Raises:
        OmnirtError: `agent_invalid`.
    """
    if not spec.output_guardrails:
        return None
    checks = tuple(
        Check(declared.name, _compiled(declared, here))
        if isinstance(declared, Guardrail)
        else _python(declared, here)
        for index, declared in enumerate(spec.output_guardrails)
        for here in (place.at("output_guardrails", index),)
    )
    return Guardrails(checks, spec.guardrail == "holdback", spec.guardrail_debounce_chars)


def _compiled(declared: Guardrail, place: Place) -> tuple[regex.Pattern[str], ...]:
    return tuple(compile_pattern(text, place.at("deny", index)) for index, text in enumerate(declared.deny))


def compile_pattern(text: str, place: Place, max_repeats: int = MAX_REPEATS) -> regex.Pattern[str]:
    """A pattern ready to search.

    Args:
        text: The pattern.
        place: Where it stands, for the error.
        max_repeats: What its counts may multiply to.

    Raises:
        OmnirtError: `agent_invalid`: it is wrong, or costs too much.
    """
    import regex

    if len(text) > MAX_PATTERN:
        raise place.problem(f"A pattern has at most {MAX_PATTERN} characters; split it")
    product = 1
    for count in _COUNT.finditer(text):
        product *= max(1, int(count[1]))
        if product > max_repeats:
            raise place.problem(f"The counts of this pattern multiply to more than {max_repeats}; split it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Python's own comes first: the library knows more, such as recursion, which nothing bounds.
            re.compile(text)
            found: regex.Pattern[str] = regex.compile(text)
    except (re.error, regex.error) as error:
        raise place.problem(f"No regular expression: {error}") from None
    except (RecursionError, OverflowError):
        raise place.problem("This pattern is nested too deeply, or counts too far") from None
    return found


def _python(reference: str, place: Place) -> Check:
    found = load_object(reference, place)
    name = reference.rpartition(":")[2]
    function = getattr(found, "guardrail_function", None)
    if callable(function):
        # An OutputGuardrail of the SDK, known by its shape: importing the SDK is not for here.
        own_name = getattr(found, "name", None)
        return Check(own_name if isinstance(own_name, str) and own_name else name, call=function, sdk=True)
    if not callable(found):
        raise place.problem(f"`{reference}` is no guardrail: it can't be called with a text")
    return Check(name, call=found)


def search_all(checks: Sequence[Check], text: str) -> list[bool | None]:
    """For each of these checks whether a pattern of it is found; None for one that took too long. Blocks."""
    results: list[bool | None] = []
    for check in checks:
        try:
            results.append(check.search(text))
        except TimeoutError:
            results.append(None)
    return results
