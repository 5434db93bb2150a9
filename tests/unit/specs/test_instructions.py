"""Instructions: what renders, what is told as missing, and templates that mean harm."""

from __future__ import annotations

from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.specs.includes import MAX_TAGS
from omnirt.specs.instructions import check_template, render, template_names
from omnirt.specs.problems import Place
from omnirt.specs.sandbox_values import MAX_OUTPUT

NAMES: dict[str, Any] = {
    "user": "Ana",
    "guests": [{"name": "Ana", "age": 30}, {"name": "Bo", "age": 4}],
    "hotel": {"name": "Sol", "stars": 4},
}
PLACE = Place().at("instructions")


def text(template: str, **more: object) -> str:
    rendered = render(template, {**NAMES, **more}, PLACE)
    assert rendered.undefined == ()
    return rendered.text


def refused(template: str) -> OmnirtError:
    with pytest.raises(OmnirtError) as caught:
        render(template, NAMES, PLACE)
    assert caught.value.kind == "agent_invalid"
    assert caught.value.facts["path"] == "$.instructions"
    return caught.value


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Plain, 100 % of it.", "Plain, 100 % of it."),
        ("Hi {{ user }}!", "Hi Ana!"),
        ("{{ hotel.name }} has {{ hotel['stars'] }} stars", "Sol has 4 stars"),
        (
            "{% for guest in guests %}{{ loop.index }}/{{ loop.length }} {{ guest.name }} {% endfor %}",
            "1/2 Ana 2/2 Bo ",
        ),
        ("{% for key, value in hotel.items() %}{{ key }}={{ value }};{% endfor %}", "name=Sol;stars=4;"),
        ("{% for g in guests if g.age > 18 %}{{ g.name }}{% else %}none{% endfor %}", "Ana"),
        ("{% if user == 'Ana' and guests|length > 1 %}yes{% endif %}", "yes"),
        ("{{ guests|map(attribute='name')|join(', ') }}", "Ana, Bo"),
        ("{{ guests|join('+', attribute='age') }}", "30+4"),
        ("{{ guests|sort(attribute='age')|map(attribute='name')|first }}", "Bo"),
        ("{{ user ~ ' of ' ~ hotel.name ~ ' ' ~ 4 }}", "Ana of Sol 4"),
        ("{{ 'a' + 'b' }}{{ 2 * 3 }}{{ 2 ** 8 }}{{ '-' * 3 }}", "ab6256---"),
        ("{{ '%.1f' % 21.46 }} {{ '%s is %d'|format(user, 3) }}", "21.5 Ana is 3"),
        ("{{ 21.46|round(1) }} {{ 3|round }} {{ 2.5|round(method='ceil') }}", "21.5 3 3.0"),
        ("{{ 'a-b'|replace('-', '+') }}{{ 'xx'|replace('x', 'y', 1) }}", "a+byx"),
        ("{{ 'a\nb'|indent(2) }}|{{ 'a'|indent('> ', true) }}", "a\n  b|> a"),
        ("{% macro hi(who) %}Hi {{ who }}{% endmacro %}{{ hi(user) }}, {{ hi('Bo') }}", "Hi Ana, Hi Bo"),
        ("{% set a, b = 1, 2 %}{{ b }}{% set t %}<{{ user }}>{% endset %}{{ t }}", "2<Ana>"),
        (
            "{% set n = namespace(n=0) %}{% for i in [1, 9] %}{% set n.n = n.n + i %}{% endfor %}{{ n.n }}",
            "10",
        ),
        ("{% raw %}{{ braces }}{% endraw %}{# a comment #}", "{{ braces }}"),
        ("{{ user|upper }} {{ user.lower() }} {{ 'a b'.split()|length }}", "ANA ana 2"),
        ("{{ missing|default('nobody') }}{% if missing is defined %}!{% endif %}", "nobody"),
        ("{{ hotel|tojson }}", '{"name": "Sol", "stars": 4}'),
        ("{{ '<b>' }}", "<b>"),
    ],
)
def test_a_template_renders_as_in_jinja2(template: str, expected: str) -> None:
    assert text(template) == expected


@pytest.mark.parametrize(
    ("template", "expected", "missing"),
    [
        ("Hi {{ nick }}.", "Hi .", ("nick",)),
        ("{{ a.b.c }}{{ a['x'] }}{{ d }}", "", ("a", "d")),
        ("{{ hotel.owner }}", "", ("owner",)),
        ("{% for x in rooms %}x{% endfor %}", "", ("rooms",)),
        ("{{ rooms|join }}{{ rooms|upper }}", "", ("rooms",)),
        ("{{ 'a' ~ nick }}", "a", ("nick",)),
        ("{% if nick %}x{% endif %}", "", ()),
    ],
)
def test_what_nobody_gave_renders_empty_and_is_told_once(
    template: str, expected: str, missing: tuple[str, ...]
) -> None:
    rendered = render(template, NAMES, PLACE)
    assert (rendered.text, rendered.undefined) == (expected, missing)


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("a\nb {{ user", 2),
        ("\n{% if user %}\n\nx", 2),
        ("\n{% endfor %}", 2),
        ("\n\n{{ user | nosuchfilter }}", 3),
        ("\n{{ user is nosuchtest }}", 2),
        ("\n\n\n{{ 1 / 0 }}", 4),
        ("a\n{% for g in guests %}\n{{ g.age + user }}\n{% endfor %}", 3),
        ("\n{{ missing + 1 }}", 2),
        ("\n{{ missing() }}", 2),
        ("\n{% include 'x.md' %}", 2),
        ("\n{% import 'x' as y %}", 2),
        ("\n{% extends 'x' %}", 2),
        ("{{ user }}\n{% for x in guests recursive %}{% endfor %}", 2),
    ],
)
def test_a_broken_template_is_agent_invalid_with_its_line(template: str, line: int) -> None:
    error = refused(template)
    assert error.facts["line"] == line
    assert f"line {line}" in error.message


ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ user['__class__'] }}{{ user.__init__ }}",
    "{{ [].__class__.__base__ }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ joiner.__call__.__globals__ }}",
    "{{ range.__globals__ }}",
    "{{ guests|map(attribute='__class__')|list }}",
    "{{ guests|sort(attribute='__class__') }}",
    "{{ user|attr('__class__') }}",
    "{% set x = 'a'.format %}{{ x.__self__ }}",
    "{{ '{0.__class__}'.format(user) }}",
    "{{ '{0.__class__}'.format_map(hotel) }}",
    "{{ guests.append(1) }}",
    "{{ hotel.update({'a': 1}) }}",
    "{{ hotel.pop('name') }}",
    "{{ (guests|map('upper')).gi_frame }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{{ dict.__mro__ }}",
    "{{ cycler.mro() }}",
    "{{ lipsum() }}",
    "{{ (1).to_bytes(1000000000, 'big') }}",
    "{{ 'a'.encode() }}",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_a_template_cannot_reach_the_process(template: str) -> None:
    refused(template)


DOUBLING = (
    "{% set ns = namespace(s='aaaaaaaa', t=[1]) %}"
    "{% for i in range(60) %}BODY{% endfor %}{{ ns.s }}{{ ns.t }}"
)
BOMBS = [
    "{{ 'a' * 1000000000 }}",
    "{{ 1000000000 * [1] }}",
    "{{ 10 ** 100000000 }}",
    "{{ (10 ** 1000) * (10 ** 1000) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '%9999d'|format(1) }}",
    "{{ 'a'|center(1000000000) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ range(1000000000)|list }}",
    "{{ range(0, 1000000000, 2)|sum }}",
    "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}",
    "{% for a in range(10000) %}{{ 'x' * 1000 }}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% block b %}{{ self.b() }}{% endblock %}",
    "{% for a in range(10000) %}{{ range(9999)|list|sort|length }}{% endfor %}",
    "{{ [1]|batch(1000000000, 2)|list }}",
    "{{ 'x'|replace('', 'y' * 200000)|replace('y', 'z' * 200000) }}",
    "{{ ('a\n' * 100000)|indent(100) }}",
    "{{ [[1] * 100000] * 100000 }}",
    DOUBLING.replace("BODY", "{% set ns.s = ns.s + ns.s %}"),
    DOUBLING.replace("BODY", "{% set ns.s = ns.s ~ ns.s %}"),
    DOUBLING.replace("BODY", "{% set ns.s = [ns.s, ns.s]|join %}"),
    DOUBLING.replace("BODY", "{% set ns.s = ns.s|replace('a', ns.s) %}"),
    DOUBLING.replace("BODY", "{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}"),
    DOUBLING.replace("BODY", "{% set ns.t = [ns.t, ns.t] %}"),
    DOUBLING.replace("BODY", "{% set ns.t = (ns.t, ns.t) %}"),
    DOUBLING.replace("BODY", "{% set ns.t = {1: ns.t, 2: ns.t} %}"),
    DOUBLING.replace("BODY", "{% set ns.t = dict(a=ns.t, b=ns.t) %}"),
    DOUBLING.replace("BODY", "{% set ns.t = [u, u]|map('default', ns.t)|list %}"),
    "{{ user }}" * (MAX_TAGS + 1),
    "{{ " + "(" * 5000 + ")" * 5000 + " }}",
    "{{ " + "not " * 5000 + "1 }}",
    "{% if 1 %}" * 500 + "{% endif %}" * 500,
    "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
]


@pytest.mark.parametrize("template", BOMBS, ids=range(len(BOMBS)))
def test_a_template_cannot_run_or_grow_without_end(template: str) -> None:
    refused(template)


@pytest.mark.parametrize("template", ["{{ '\\ud800' }}", "{{ user }}{{ 'a\\udfff' }}"])
def test_half_a_character_is_refused_where_it_is_rendered_and_where_it_is_checked(template: str) -> None:
    assert "surrogate" in refused(template).message
    with pytest.raises(OmnirtError):
        check_template(template, NAMES, PLACE)


def test_a_namespace_in_itself_has_a_short_text() -> None:
    assert text("{% set ns = namespace(a=1) %}{% set ns.a = ns %}{{ ns }}") == "<namespace>"


def test_a_text_of_the_full_length_is_allowed() -> None:
    template = "{% for i in range(4) %}{{ x }}{% endfor %}"
    assert len(text(template, x="a" * (MAX_OUTPUT // 4))) == MAX_OUTPUT
    with pytest.raises(OmnirtError):
        render(template, {"x": "a" * (MAX_OUTPUT // 4 + 1)}, PLACE)


def test_values_do_not_stand_in_the_error() -> None:
    with pytest.raises(OmnirtError) as caught:
        render("{{ secret + 1 }}", {"secret": "sk-canary-value"}, PLACE)
    assert "canary" not in str(caught.value)


def test_one_rendering_leaves_nothing_to_the_next() -> None:
    assert render("{{ nick }}", {}, PLACE).undefined == ("nick",)
    assert text("{{ user }}{% set user = 'Bo' %}") == "Ana"
    assert text("{{ user }}") == "Ana"


def test_session_variables_beat_the_specs_own_and_those_beat_the_context() -> None:
    names = template_names({"a": 1, "b": 1, "c": 1}, {"b": 2, "c": 2}, {"c": 3})
    assert render("{{ a }}{{ b }}{{ c }}{{ context.c }}", names, PLACE).text == "1231"
