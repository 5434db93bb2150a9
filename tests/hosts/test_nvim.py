"""The Neovim plugin, installed in a real Neovim, talks with the real daemon."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from os import kill
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.documents import ROOT
from tests.support.editors import configuration, install
from tests.support.mcp_servers import alive, ended
from tests.support.neovim import ANSWER_LATER, CURSORS, HELPERS, IDLE, MARKS, Neovim
from tests.support.programs import find_program

pytestmark = pytest.mark.xdist_group("nvim")

PLUGIN = ROOT / "examples" / "nvim"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a user who installed the plugin as the page says."""
    folder = tmp_path_factory.mktemp("home")
    install(folder, "nvim")
    init = folder / ".config" / "nvim" / "init.lua"
    init.parent.mkdir()
    init.write_text(configuration("lua"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def shared(home: Path) -> Iterator[Neovim]:
    """One editor, and one daemon, for most tests. When it is killed its daemon is gone as well."""
    with Neovim.spawn(home) as editor:
        editor.lua(HELPERS)
        yield editor
        pid = editor.lua("return Ask('server.stats').pid")
        editor.kill()
        anyio.run(ended, [pid])


@pytest.fixture
def editor(shared: Neovim) -> Iterator[Neovim]:
    """The editor, without talks before and after, and with one window."""
    yield shared
    shared.command("silent! tabonly! | only! | %bdelete!")
    shared.until("#Ask('session.list').sessions == 0")


def talk(editor: Neovim, *rules: Any, agent: str = "", speed: float = 20, modality: str = "text") -> None:
    """Start a talk in which the model follows these rules."""
    simulator = {"speed": speed, "script": {"rules": rules}}
    session = {
        "settings": {"provider": "simulator", "simulator": simulator},
        "realtime": {"modalities": [modality]},
    }
    editor.lua("require('omnirt').setup({ session = ... })", session)
    editor.command(f"OmnirtTalk {agent}")


def calls(tool: str, **arguments: Any) -> tuple[Any, Any]:
    """Rules by which the model calls a tool and tells what it gave."""
    do = [{"call": {"tool": tool, "arguments": arguments}}]
    return {"on": "text", "do": do}, {"on": "tool_output", "do": [{"text": "Told: {tool_output}"}]}


def shows(editor: Neovim, *lines: str) -> None:
    """Wait until the newest transcript has these lines, one after the other."""
    editor.until(f"Has({json.dumps(chr(10).join(lines), ensure_ascii=False)})")


def test_with_what_the_page_configures_the_simulator_makes_small_talk(editor: Neovim) -> None:
    editor.command("OmnirtTalk")
    editor.command("OmnirtSay Hello")
    shows(editor, "You: Hello", "editor: Hello there, it is good to hear you.")


def test_what_was_said_is_in_the_transcript_and_nothing_else(editor: Neovim) -> None:
    talk(
        editor, {"match": "Grüße", "do": [{"text": "Schöne Grüße 👋"}]}, {"do": [{"text": "You said {text}"}]}
    )
    editor.lua("require('omnirt').say('Grüße\\naus 日本')")
    editor.command("OmnirtSay second | third")
    shows(editor, "editor: You said second | third")
    assert editor.lines() == [
        *("You: Grüße", "  aus 日本", "editor: Schöne Grüße 👋"),
        *("You: second | third", "editor: You said second | third"),
    ]
    editor.until(IDLE)
    [[_, line, _, details]] = editor.lua(MARKS)
    assert (line, details["virt_text"][0][0]) == (4, "● listening")
    options = "local o = vim.bo[Transcript()]; return { o.modifiable, o.modified, o.swapfile }"
    assert editor.lua(options) == [False, False, False]
    editor.command("OmnirtStop")
    shows(editor, "* The talk is over: stopped")
    editor.command("OmnirtSay too late")
    assert "there is no talk" in editor.lua("return Notified[#Notified]")


def test_the_newest_talk_that_goes_on_is_meant(editor: Neovim) -> None:
    talk(editor, {"do": [{"text": "first: {text}"}]})
    first = editor.lua("return Transcript()")
    for agent, over in (("nosuch", "it could not be started"), ("", "stopped")):
        editor.command("tabnew")
        talk(editor, {"do": [{"text": "other: {text}"}]}, agent=agent)
        if not agent:
            editor.until(IDLE)
            editor.command("OmnirtStop")
        shows(editor, f"* The talk is over: {over}")
        finished = editor.lua("return Transcript()")
        editor.command(f"OmnirtSay after {over}")
        editor.until(f"vim.fn.getbufline({first}, '$')[1] == 'editor: first: after {over}'")
        editor.command(f"buffer {finished} | OmnirtSay too late")
        assert "this talk is over" in editor.lua("return Notified[#Notified]")
        editor.command("bprevious")


def test_windows_at_the_end_follow_and_others_stay(editor: Neovim) -> None:
    talk(editor, {"do": [{"text": "{text}"}]})
    editor.lua("vim.ui.input = function(_, given) given('one') end")
    editor.command("OmnirtSay")
    shows(editor, "editor: one")
    editor.command("tabnew | execute 'buffer' v:lua.Transcript() | normal! gg")
    editor.command("OmnirtSay two")
    shows(editor, "editor: two")
    assert sorted(editor.lua(CURSORS)) == [1, 4]


def test_a_second_talk_has_its_own_buffer_and_the_same_daemon(editor: Neovim) -> None:
    talk(editor, {"do": [{"text": "first: {text}"}]})
    first = editor.lua("return Transcript()")
    editor.command("tabnew")
    talk(editor, {"do": [{"text": "second: {text}"}]})
    editor.command("OmnirtSay a")
    shows(editor, "editor: second: a")
    editor.command(f"buffer {first} | OmnirtSay b")
    editor.until(f"#vim.api.nvim_buf_get_lines({first}, 0, -1, false) == 2")
    assert editor.lines(first) == ["You: b", "editor: first: b"]
    assert editor.lines() == ["You: a", "editor: second: a"]
    assert editor.lua("return #Ask('session.list').sessions") == 2
    editor.command("bdelete")
    editor.until("#Ask('session.list').sessions == 1")


@pytest.mark.parametrize(
    ("choice", "result", "text"),
    [
        (1, "completed", ["one", "new ✓", "two"]),
        (2, "rejected", ["one", "two"]),
        (9, "rejected", ["one", "two"]),
    ],
    ids=["yes", "no", "nothing chosen"],
)
def test_the_user_approves_of_a_tool(editor: Neovim, choice: int, result: str, text: list[str]) -> None:
    editor.lua(ANSWER_LATER + "Asked = {}", choice)
    editor.lua("vim.api.nvim_buf_set_lines(0, 0, -1, false, { 'one', 'two' })")
    talk(editor, *calls("insert_text", text="new ✓"))
    editor.command("OmnirtSay go")
    shows(editor, f'* insert_text({{"text":"new ✓"}}): {result}')
    [[prompt, choices]] = editor.lua("return Asked")
    assert prompt == 'May editor run insert_text({"text":"new ✓"})?'
    assert choices[:2] == ["Yes", "No"]
    assert editor.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, false)") == text


def test_what_is_typed_in_insert_mode_answers_nothing(editor: Neovim) -> None:
    editor.lua(ANSWER_LATER + "Asked, Notified = {}, {}", 1)
    talk(editor, *calls("insert_text", text="new"))
    editor.type("i", mode="i")
    editor.lua("require('omnirt').say('go')")
    editor.until("#Notified == 1")
    assert editor.lua("return Notified") == ["omnirt: may insert_text run? You are asked in normal mode"]
    editor.type("1 apple<CR>", mode="i")
    assert editor.lua("return { #Asked, #Notified }") == [0, 1]
    editor.type("<Esc>", mode="n")
    shows(editor, '* insert_text({"text":"new"}): completed')
    assert editor.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, false)") == ["1 apple", "", "new"]


def test_questions_come_one_at_a_time_and_an_answer_may_hold_for_the_talk(editor: Neovim) -> None:
    editor.lua(ANSWER_LATER + "Asked = {}", 3)
    use = {"tool": "insert_text", "arguments": {"text": "x"}}
    talk(
        editor, {"on": "text", "do": [{"call": [use, use]}]}, {"on": "tool_output", "do": [{"text": "Done."}]}
    )
    editor.command("OmnirtSay go")
    shows(editor, "editor: Done.")
    editor.command("OmnirtSay again")
    shows(editor, "You: again", *['* insert_text({"text":"x"}): completed'] * 2)
    assert editor.lua("return #Asked") <= 2


def test_the_editor_carries_out_tools(editor: Neovim, tmp_path: Path) -> None:
    path = tmp_path / "a name | with %.txt"
    path.write_text("one\ntwo\nthree ✓\n", encoding="utf-8")
    talk(editor, *calls("open_file", path=str(path), line=3))
    editor.command("OmnirtSay open")
    shows(editor, "editor: Told:")
    assert editor.lua("return { vim.api.nvim_buf_get_name(0), vim.fn.line('.') }") == [str(path), 3]
    talk(editor, *calls("read_buffer"))
    editor.command("OmnirtSay read")
    shows(editor, "editor: Told:")
    editor.until(IDLE)
    told = json.loads(editor.lines()[-1].removeprefix("editor: Told: "))
    assert (told["line"], told["text"]) == (3, "one\ntwo\nthree ✓")


def test_text_in_another_encoding_and_tools_that_fail(editor: Neovim) -> None:
    editor.lua("vim.api.nvim_buf_set_lines(0, 0, -1, false, { 'caf\\233' })")
    talk(editor, *calls("read_buffer"))
    editor.command("OmnirtSay read")
    shows(editor, "café")
    talk(editor, *calls("open_file", path="/no/such/file"))
    editor.command("OmnirtSay open")
    shows(editor, "failed, there is no file /no/such/file")


def test_texts_have_any_bytes(editor: Neovim) -> None:
    editor.lua("vim.api.nvim_buf_set_lines(0, 0, -1, false, { 'one\\0two', 'caf\\233' })")
    talk(editor, *calls("read_buffer"))
    editor.lua("require('omnirt').send(1, 2, 'what is caf\\233?')")
    shows(editor, "* You show [No Name], lines 1 to 2", "You: what is café?")
    shows(editor, "editor: Told:")
    editor.until(IDLE)
    assert json.loads(editor.lines()[-1].removeprefix("editor: Told: "))["text"] == "one\0two\ncafé"
    editor.lua(ANSWER_LATER + "Asked = {}", 1)
    talk(editor, *calls("insert_text", text="three\0four"))
    editor.command("OmnirtSay insert")
    shows(editor, '* insert_text({"text":"three\\u0000four"}): completed')


def test_a_question_about_lines_that_were_not_shown_is_not_asked(editor: Neovim) -> None:
    editor.lua("vim.api.nvim_buf_set_lines(0, 0, -1, false, { ('x'):rep(20 * 1024 * 1024) })")
    talk(editor, {"do": [{"text": "{text}"}]})
    editor.command("OmnirtSend What is this?")
    editor.until("(Notified[#Notified] or ''):find('longer than the limit', 1, true)")
    editor.command("OmnirtSay other")
    shows(editor, "editor: other")
    assert "What is this?" not in "".join(editor.lines())


def test_a_user_adds_tools(editor: Neovim) -> None:
    editor.lua(
        "require('omnirt').setup({ tools = { get_weather = function(a) return 'sun in ' .. a.city end } })"
    )
    talk(editor, *calls("get_weather", city="Oslo"), agent="weather")
    editor.command("OmnirtSay weather?")
    shows(editor, "weather: Told: sun in Oslo")


def test_an_interrupt_shows_what_was_heard(editor: Neovim) -> None:
    talk(editor, {"do": [{"say": "story"}]}, speed=4, modality="audio")
    editor.command("OmnirtSay Tell me a story")
    shows(editor, "night")
    editor.command("OmnirtInterrupt")
    shows(editor, "[cut]")
    said = editor.lines()[-1]
    assert said.startswith("editor: Once")
    assert said.endswith(" [cut]")
    assert "night" not in said


def test_lines_are_shown_to_the_agent_with_a_question(editor: Neovim) -> None:
    editor.lua("vim.api.nvim_buf_set_lines(0, 0, -1, false, { 'a = 1', 'b = ä', 'c = 3' })")
    editor.command("setlocal filetype=sh")
    talk(editor, {"do": [{"text": "{text}"}]})
    editor.command("2,3OmnirtSend What is b?")
    shows(editor, "* You show [No Name], lines 2 to 3", "You: What is b?", "editor: [No Name], lines 2 to 3:")
    editor.until(IDLE)
    assert "```sh b = ä c = 3 ``` What is b?" in editor.lines()[-1], "the model was told all of it"


def test_handoffs_and_errors_are_told(editor: Neovim) -> None:
    rules = {"match": "bill", "do": [{"hand_off": "billing"}]}, {"on": "any", "do": [{"fail": "quota"}]}
    talk(editor, *rules, agent="reception")
    editor.command("OmnirtSay my bill")
    shows(editor, "* reception hands over to billing", "! ")
    talk(editor, agent="nobody")
    shows(editor, "! No agent has the name `nobody`")
    shows(editor, "* The talk is over: it could not be started")


def test_devices_are_those_of_the_daemon(editor: Neovim) -> None:
    editor.lua("require('omnirt').setup({ devices = { input = 'no-such-microphone' } })")
    talk(editor)
    shows(editor, "! There is no microphone")
    shows(editor, "* The talk is over: it could not be started")
    editor.lua("require('omnirt').setup({ devices = false })")
    talk(editor, {"do": [{"text": "{text}"}]})
    editor.command("OmnirtSay in writing again")
    shows(editor, "editor: in writing again")


def test_a_daemon_that_dies_is_told_and_the_editor_leaves_none_behind(home: Path) -> None:
    with Neovim.spawn(home) as editor:
        editor.lua(HELPERS)
        editor.lua("require('omnirt').setup({ cmd = { 'no-such-program' } })")
        editor.command("OmnirtTalk")
        assert editor.lua("return Notified[1]") == (
            "omnirt: no-such-program can not be run: is omnirt installed? (:help omnirt-install)"
        )
        editor.lua("require('omnirt').setup({ cmd = { 'omnirt', 'serve' } })")
        talk(editor)
        first = editor.lua("return Ask('server.stats').pid")
        kill(first, signal.SIGKILL)
        shows(editor, "! The daemon ended (exit code 137)", "* The talk is over: the daemon is gone")
        talk(editor, {"do": [{"text": "again"}]})
        editor.command("OmnirtSay hello")
        shows(editor, "editor: again")
        second = editor.lua("return Ask('server.stats').pid")
        assert second != first
        assert editor.quit() == 0
        assert not alive(second)


def test_the_help_is_found(home: Path) -> None:
    with Neovim.spawn(home) as editor:
        editor.command("helptags ALL")
        for topic in ("omnirt-options", ":OmnirtTalk", "omnirt-tools"):
            editor.command(f"help {topic}")
            assert editor.lua("return vim.fn.expand('%:t')") == "omnirt.txt"


def test_luacheck_finds_nothing() -> None:
    options = ["--std", "luajit", "--globals", "vim", "--max-line-length", "120", "--no-color"]
    command = [find_program("luacheck"), *options, str(PLUGIN)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
