"""A real Neovim, driven over its msgpack-RPC as a user would drive it by keys."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.support.editors import environment
from tests.support.programs import find_program

WAIT_S = 30.0
"""For a busy machine; only ever used up by a failure."""

WAIT_UNTIL = """
local condition = assert(loadstring('return ' .. ...))
return vim.wait(select(2, ...), condition, 20)
"""

HELPERS = """
function Transcript()
  local newest
  for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
    local kind = vim.api.nvim_buf_get_option(buffer, 'filetype')
    newest = kind == 'omnirt' and vim.api.nvim_buf_is_loaded(buffer) and buffer or newest
  end
  return newest
end
function Shown()
  return table.concat(vim.api.nvim_buf_get_lines(Transcript(), 0, -1, false), '\\n')
end
function Has(text)
  return Shown():find(text, 1, true) ~= nil
end
function Ask(method)
  local answer
  require('omnirt').request(method, vim.empty_dict(), function(err, result) answer = err or result end)
  vim.wait(20000, function() return answer end, 20)
  return answer
end
Notified, Asked = {}, {}
vim.notify = function(text) table.insert(Notified, text) end
"""
"""Lua: functions for conditions, and what was told to the user."""

MARKS = """
local namespace = vim.api.nvim_get_namespaces().omnirt
return vim.api.nvim_buf_get_extmarks(Transcript(), namespace, 0, -1, { details = true })
"""
"""Lua: what is drawn behind the lines of the newest transcript."""

CURSORS = """
return vim.tbl_map(function(window)
  return vim.api.nvim_win_get_cursor(window)[1]
end, vim.fn.win_findbuf(Transcript()))
"""
"""Lua: the lines of the cursors in its windows."""

IDLE = "vim.api.nvim_buf_get_var(Transcript(), 'omnirt_state') == 'listening'"
"""A condition: its agent listens."""

ANSWER_LATER = """
local choice = ...
vim.ui.select = function(items, options, chosen)
  table.insert(Asked, { options.prompt, vim.tbl_map(options.format_item, items) })
  vim.defer_fn(function() chosen(items[choice], choice) end, 50)
end
"""
"""Lua: a picker of the user's own, which takes its time and chooses the nth."""


class Neovim:
    """One editor without a screen."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self.process = process
        self._channel = channel
        self._count = 0

    @classmethod
    @contextmanager
    def spawn(cls, home: Path) -> Iterator[Neovim]:
        """Start one for the user of this home; killed at the end of the block."""
        command = [find_program("nvim"), "--headless", "--embed", "-n"]
        ours, its = socket.socketpair()
        ours.settimeout(WAIT_S)
        with its:
            process = subprocess.Popen(
                command,
                env=environment(home),
                stdin=its.fileno(),
                stdout=its.fileno(),
                stderr=subprocess.DEVNULL,
            )
        with ours, process:
            try:
                yield cls(process, ours)
            finally:
                process.kill()

    def lua(self, code: str, *args: object) -> Any:
        """Run Lua, with `...` as its arguments, and give what it returns."""
        return self._call("nvim_exec_lua", code, args)

    def command(self, text: str) -> None:
        """Run an Ex command, as typed behind a colon."""
        self._call("nvim_command", text)

    def type(self, keys: str, *, mode: str) -> None:
        """Type keys, and wait until they are taken: the editor is in this mode then."""
        self._call("nvim_input", keys)
        deadline = time.monotonic() + WAIT_S
        while self.lua("return { vim.fn.getchar(1), vim.api.nvim_get_mode().mode }") != [0, mode]:
            assert time.monotonic() < deadline, f"not in mode {mode}"

    def until(self, condition: str) -> None:
        """Wait until a Lua expression is true; the editor works on meanwhile."""
        if not self.lua(WAIT_UNTIL, condition, int(WAIT_S * 800)):
            raise AssertionError(f"never true: {condition}; shown: {self.lines()}; {self.messages()}")

    def lines(self, buffer: int | None = None) -> list[str]:
        """The lines of a buffer; without one those of the newest transcript."""
        code = "return vim.api.nvim_buf_get_lines(... or Transcript(), 0, -1, false)"
        found: list[str] = self.lua(code, *([] if buffer is None else [buffer]))
        return found

    def messages(self) -> str:
        """What was told to the user so far."""
        return str(self._call("nvim_exec", "messages", True))

    def quit(self) -> int:
        """Leave the editor as a user does, and give its exit code."""
        self._send("nvim_command", "qall!")
        return self.process.wait(WAIT_S)

    def kill(self) -> None:
        """Kill it as the system does."""
        os.kill(self.process.pid, signal.SIGKILL)

    def _call(self, method: str, *params: object) -> Any:
        self._send(method, *params)
        received = b""
        while True:
            data = self._channel.recv(65536)
            if not data:
                raise EOFError(f"Neovim ended during {method}")
            received += data
            try:
                _, number, error, result = msgspec.msgpack.decode(received)
            except msgspec.DecodeError:
                continue  # not all of it is there
            assert number == self._count
            assert error is None, error[1]
            return result

    def _send(self, method: str, *params: object) -> None:
        self._count += 1
        self._channel.sendall(msgspec.msgpack.encode([0, self._count, method, params]))
