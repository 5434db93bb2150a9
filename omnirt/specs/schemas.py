"""JSON Schemas of tools' arguments: refused at load when they can't work, checked within bounds at each call.

The library `jsonschema` searches patterns with `re`, which has no time limit and holds the interpreter, and
follows references as often as they branch. Here patterns are those of guardrails, and all has one time limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from omnirt.specs.guardrails import compile_pattern
from omnirt.specs.problems import Place

CHECK_S: Final = 0.2
"""How long the check of one call may take; with a schema that is no fault it takes microseconds."""
MAX_REPEATS: Final = 50_000
"""As that of guardrails, but the parts of a UUID's pattern alone multiply to thousands."""

_MAX_PROBLEM: Final = 300
_MAX_DEPTH: Final = 64
_VALUES: Final = frozenset({"enum", "const", "default", "examples"})
"""Members that hold values and no schemas."""
_NAMED: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
"""Members that hold schemas under names of their author's."""
_SAME: Final = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
"""Members whose schemas are for the same value as the schema itself."""

Schema: TypeAlias = dict[str, Any]
Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Iterator[Any] | None]
"""How jsonschema checks one member of a schema: gets validator, member, value and schema, gives errors."""


class SlowSchemaError(Exception):
    """The check took longer than `CHECK_S`."""


def check_parameters(schema: Schema, here: Place) -> None:
    """Refuses parameters that are no JSON Schema of an object, refer to nothing, or can't be bounded.

    Raises:
        OmnirtError: `agent_invalid` at `parameters`.
    """
    if schema.get("type") != "object":
        raise here.at("type").problem('The parameters of a tool are an object: write `"type": "object"`')
    import jsonschema

    parts = list(_schemas(schema, here, 0))
    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        at = here.at(*(step for step in error.absolute_path))
        raise at.problem(f"No JSON Schema: {error.message[:_MAX_PROBLEM]}") from None
    for part, place in parts:
        _check_patterns(part, place)
    if any("unevaluatedProperties" in part for part, _ in parts):
        for part, place in parts:
            if "patternProperties" in part:
                raise place.at("patternProperties").problem("Not beside `unevaluatedProperties`")
    _References(schema, parts).check()


def worst_problem(schema: Schema, arguments: object) -> str | None:
    """Where arguments do not fit a schema, and why; None when they fit. Blocks for `CHECK_S` at most.

    Raises:
        SlowSchemaError: That was not enough.
        Exception: Of many kinds: the schema is broken, and was not checked before.
    """
    import jsonschema
    import referencing

    base = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    # The empty registry keeps jsonschema from fetching what a `$ref` names.
    validator = _bounded(base)(schema, registry=referencing.Registry())
    worst = jsonschema.exceptions.best_match(validator.iter_errors(arguments))
    return None if worst is None else f"{worst.json_path}: {worst.message[:_MAX_PROBLEM]}"


def _bounded(base: Any) -> Any:
    """A validator as `base` that ends within `CHECK_S`."""
    import jsonschema
    import regex

    end = time.monotonic() + CHECK_S

    def found(pattern: str, text: str) -> bool:
        try:
            # The library keeps what it has compiled.
            return regex.search(pattern, text, timeout=max(0.001, end - time.monotonic())) is not None
        except TimeoutError:
            raise SlowSchemaError from None

    def pattern(_validator: Any, member: str, value: Any, _schema: Schema) -> Iterator[Any]:
        if isinstance(value, str) and not found(member, value):
            yield jsonschema.ValidationError(f"{value!r} does not match {member!r}")

    def pattern_properties(
        validator: Any, members: Mapping[str, Any], value: Any, _schema: Schema
    ) -> Iterator[Any]:
        for text, schema in members.items() if isinstance(value, dict) else ():
            for name in [name for name in value if found(text, name)]:
                yield from validator.descend(value[name], schema, path=name, schema_path=text)

    plain: Keyword = base.VALIDATORS["additionalProperties"]

    def additional(validator: Any, member: Any, value: Any, schema: Schema) -> Iterator[Any]:
        if isinstance(value, dict) and "patternProperties" in schema:
            patterns = schema["patternProperties"]
            value = {k: v for k, v in value.items() if not any(found(text, k) for text in patterns)}
            schema = {name: part for name, part in schema.items() if name != "patternProperties"}
        yield from plain(validator, member, value, schema) or ()

    def timed(keyword: Keyword) -> Keyword:
        def check(*args: Any) -> Iterator[Any]:
            if time.monotonic() > end:
                raise SlowSchemaError
            yield from keyword(*args) or ()

        return check

    own = {
        **base.VALIDATORS,
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional,
    }
    extend: Callable[[Any, dict[str, Keyword]], Any] = jsonschema.validators.extend
    return extend(base, {name: timed(keyword) for name, keyword in own.items()})


def _schemas(value: object, place: Place, depth: int) -> Iterator[tuple[Schema, Place]]:
    """A schema and all those in it, with where they stand."""
    if depth > _MAX_DEPTH:
        raise place.problem("Nested too deeply")
    if isinstance(value, list):
        for index, member in enumerate(value):
            yield from _schemas(member, place.at(index), depth + 1)
    if isinstance(value, dict):
        yield value, place
        for name, member in value.items():
            if name in _NAMED and isinstance(member, dict):
                for key, schema in member.items():
                    yield from _schemas(schema, place.at(name, key), depth + 2)
            elif name not in _VALUES:
                yield from _schemas(member, place.at(name), depth + 1)


def _check_patterns(schema: Schema, place: Place) -> None:
    if isinstance(schema.get("pattern"), str):
        compile_pattern(schema["pattern"], place.at("pattern"), MAX_REPEATS)
    members = schema.get("patternProperties")
    for pattern in members if isinstance(members, dict) else ():
        compile_pattern(pattern, place.at("patternProperties", pattern), MAX_REPEATS)


class _References:
    """The references of a schema: inside of it, to what is there, and not round and round.

    Args:
        root: The schema.
        parts: From `_schemas`.
    """

    def __init__(self, root: Schema, parts: list[tuple[Schema, Place]]) -> None:
        from referencing import Registry
        from referencing.jsonschema import DRAFT202012

        self._parts = parts
        self._done: set[int] = set()
        # What an `$id` inside names has references of its own, which only the validator can follow.
        self._follows = not any("$id" in part for part, _ in parts[1:])
        bare = {name: member for name, member in root.items() if name != "$id"}
        self._resolver = Registry().with_resource("", DRAFT202012.create_resource(bare)).resolver()
        self._root, self._bare = root, bare

    def check(self) -> None:
        """Refuse the first that does not hold.

        Raises:
            OmnirtError: `agent_invalid`.
        """
        for part, place in self._parts:
            for name in ("$ref", "$dynamicRef"):
                if isinstance(part.get(name), str) and not part[name].startswith("#"):
                    message = "Only references inside the schema itself (`#/…`) are followed"
                    raise place.at(name).problem(message)
        for part, place in self._parts if self._follows else ():
            self._walk(part, place, set())

    def _walk(self, schema: object, place: Place, above: set[int]) -> None:
        """Follow what is for the same value; a way that leads back never ends."""
        if not isinstance(schema, dict) or id(schema) in self._done:
            return
        if id(schema) in above:
            raise place.problem("This reference leads back to itself, and would never end")
        inside = above | {id(schema)}
        if isinstance(schema.get("$ref"), str):
            self._walk(self._target(schema["$ref"], place.at("$ref")), place.at("$ref"), inside)
        for name in _SAME:
            member = schema.get(name)
            for part in member if isinstance(member, list) else [member]:
                self._walk(part, place.at(name), inside)
        self._done.add(id(schema))

    def _target(self, reference: str, place: Place) -> object:
        from referencing.exceptions import Unresolvable

        try:
            found = self._resolver.lookup(reference).contents
        except (Unresolvable, ValueError, TypeError, LookupError):
            raise place.problem(f"`{reference[:_MAX_PROBLEM]}` is not in this schema") from None
        return self._root if found is self._bare else found
