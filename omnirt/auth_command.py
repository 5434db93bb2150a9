"""`omnirt auth`: keeps keys in the keyring of the operating system, where sessions look for them last."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import sys
from collections.abc import Callable, Sequence

from omnirt.providers import keyring_store
from omnirt.providers.keyring_store import KeyringProblem
from omnirt.providers.urls import UrlProblem, authority, split
from omnirt.terminal import Help, examples, fail

_ACTS = ("set", "clear", "status")
_OWN = ("openai", "azure")
_VARIABLES = {"openai": ("OPENAI_API_KEY",), "azure": ("AZURE_OPENAI_API_KEY", "OPENAI_API_KEY")}
_LOOKS_LIKE_A_KEY = re.compile(r"(sk|ek)[-_]|[A-Za-z0-9]{32,}\Z|.*[A-Z].*[0-9]")
_KEY = re.compile(r"[\x21-\x7e]{1,8192}")
_TAIL_FROM = 24
"""Keys of this length and more show their last four characters, by which people tell them apart."""


def run(argv: Sequence[str]) -> int:
    """Runs the command; 1 when the keyring can't be used, 2 for wrong arguments."""
    if argv and argv[0] not in _ACTS and not argv[0].startswith("-"):
        return _fail("say what to do: set, clear or status", 2, as_json="--json" in argv)
    args, rest = _parser().parse_known_args(argv)
    if rest:
        # Not told what: it is a key, most likely.
        text = "a key is never an argument, where others see it; it is asked for, or read from stdin"
        return _fail(text, 2, as_json=args.json)
    try:
        names = [_name(text) for text in args.names]
        act: Callable[[list[str], bool], int] = args.act
        return act(names, args.json)
    except UrlProblem as problem:
        return _fail(str(problem), 2, as_json=args.json)
    except KeyringProblem as problem:
        return _fail(str(problem), 1, "storage_failed", as_json=args.json)
    except (KeyboardInterrupt, EOFError):
        return _fail("nothing was stored", 1, "cancelled", as_json=args.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omnirt auth",
        description="Keys in the keyring of the operating system. Settings, the configuration file and "
        "variables of the environment come before it.",
        epilog=examples(
            "omnirt auth set openai",
            "printenv OPENAI_API_KEY | omnirt auth set openai",
            "omnirt auth status --json",
            "omnirt auth clear openai",
            before="NAME is openai, azure, or the host[:port] of another server. A key is sent to the host "
            "it was stored for, and to no other.",
        ),
        formatter_class=Help,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="set|clear|status")
    put = commands.add_parser("set", help="store a key: asked for without echo, or the first line of stdin")
    put.set_defaults(act=_set)
    clear = commands.add_parser("clear", help="forget a key")
    clear.set_defaults(act=_clear)
    status = commands.add_parser("status", help="which keys are stored, masked")
    status.set_defaults(act=_status)
    for command in (put, clear):
        command.add_argument("names", metavar="NAME", nargs=1)
    status.add_argument("names", metavar="NAME", nargs="*")
    for command in (put, clear, status):
        command.add_argument("--json", action="store_true", help="for programs")
    return parser


def _name(text: str) -> str:
    """`openai`, `azure`, or host and port of a server, given as such or as its URL."""
    if text in _OWN:
        return text
    if "." not in text and ":" not in text and _LOOKS_LIKE_A_KEY.match(text):
        raise UrlProblem("that looks like a key; name openai, azure, or a host, and the key is asked for")
    if text == "compatible":
        raise UrlProblem("name the host of the server, such as localhost:8080; its key goes to no other")
    return authority(split(text, default_scheme="https").geturl())


def _set(names: list[str], as_json: bool) -> int:
    [name] = names
    keyring_store.backend()  # nobody types a key that can't be kept
    if sys.stdin.isatty():
        secret = getpass.getpass(f"Key for {name} (not shown): ", stream=sys.stderr).strip()
    else:
        secret = sys.stdin.readline().strip()
    if not _KEY.fullmatch(secret):
        return _fail("that is no key: one line of ASCII without spaces is", 2, as_json=as_json)
    keyring_store.put(name, secret)
    return _tell({"name": name, "stored": True}, f"Stored the key for {name}.", as_json=as_json)


def _clear(names: list[str], as_json: bool) -> int:
    [name] = names
    known = keyring_store.clear(name)
    text = f"Forgot the key for {name}." if known else f"There was no key for {name}."
    return _tell({"name": name, "cleared": known}, text, as_json=as_json)


def _tell(document: dict[str, object], text: str, *, as_json: bool) -> int:
    sys.stdout.write(f"{json.dumps(document) if as_json else text}\n")
    return 0


def _status(names: list[str], as_json: bool) -> int:
    backend = keyring_store.backend()
    keys = {name: _masked(name) for name in names or _OWN}
    first = {
        name: variable
        for name in keys
        for variable in reversed(_VARIABLES.get(name, ()))
        if os.environ.get(variable, "").strip()
    }
    if as_json:
        stored = [{"name": name, "key": key, "hiddenBy": first.get(name)} for name, key in keys.items()]
        sys.stdout.write(json.dumps({"keyring": backend, "keys": stored}) + "\n")
        return 0
    sys.stdout.write(f"keyring: {backend}\n")
    for name, key in keys.items():
        before = f" (the variable {first[name]} comes first)" if name in first else ""
        sys.stdout.write(f"{name}: {key or 'no key'}{before}\n")
    return 0


def _masked(name: str) -> str | None:
    found = keyring_store.get([name])
    if found is None:
        return None
    secret = found[1]
    return f"***{secret[-4:]}" if len(secret) >= _TAIL_FROM else "***"


def _fail(text: str, code: int, kind: str = "invalid_params", *, as_json: bool) -> int:
    return fail("omnirt auth", kind, f"{text.rstrip('.')}.", as_json=as_json, code=code)
