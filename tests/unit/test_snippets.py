"""Nothing that looks like code stands on a page without a test that runs or checks it."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.support import documents
from tests.support.documents import ROOT, Block

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]
INSTALLS = {"pip install .", *(f"pip install 'omnirt-daemon[{extra}]'" for extra in EXTRAS)}
OF_OTHERS = {
    "az login",
    "npx quicktype -s schema 'schemas/notifications.json#/$defs/' -o Notifications.swift",
}
"""Programs that are not ours: shown, and not run here."""


OF_NODE = {
    """node examples/node/talk.mjs --settings '{"provider": "simulator"}'""",
    "node examples/node/talk.mjs \\",
    "  --player 'sox -q -t raw -r 24000 -e signed -b 16 -c 1 - -d' \\",
    "  --mic 'sox -q -d -t raw -r 24000 -e signed -b 16 -c 1 -'",
    "cd examples/node && npm install && npm run build",
    """node build/voice.js "Hello" '{"provider": "simulator"}'""",
}
"""Run by tests/hosts/test_node.py, which has no loudspeaker."""


@pytest.mark.parametrize("block", [*documents.blocks("sh"), *documents.blocks("sh", "install")], ids=str)
def test_a_line_for_a_shell_is_known(block: Block) -> None:
    """A make target is looked up by test_docs.py, a line with omnirt is run by test_help.py."""
    for line in block.text.splitlines():
        assert (
            line in INSTALLS | OF_OTHERS | OF_NODE
            or re.match(r"([A-Z]+=\w+ )?make [a-z]+$", line)
            or "omnirt " in line
        ), f"{block.where}: nothing runs {line!r}"


def test_python_without_a_tag_stands_where_a_test_runs_it() -> None:
    places = {block.where.split(":")[0] for block in documents.blocks("python")}
    assert {place for place in places if not place.startswith("docs/")} == {"README.md"}


def test_every_fence_is_found() -> None:
    """An indented fence, or one of tildes, would be a block that no test sees."""
    for page in documents.PAGES:
        text = page.read_text(encoding="utf-8")
        of_page = [b for b in documents.all_blocks() if b.where.startswith(page.relative_to(ROOT).as_posix())]
        assert len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE)) == 2 * len(of_page), page.name


def test_every_page_of_docs_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").glob("*.md")]
    assert [page for page in pages if f"]({page})" not in readme] == []
