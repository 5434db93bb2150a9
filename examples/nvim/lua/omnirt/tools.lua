--- Tools that the editor itself carries out: a function of the arguments each, by the name that the agent's spec gives.
-- What one returns (anything that JSON can say) is told to the model; an error is told to it in words.
-- They are those of examples/agents/editor.yaml. `setup({tools = …})` adds others.

local api = vim.api
local windows = require('omnirt.windows')
local M = {}

local function working()
  return windows.working() or error('no file is open in the editor', 0)
end

--- The text that the user looks at.
function M.read_buffer()
  local window = working()
  local buffer = api.nvim_win_get_buf(window)
  return {
    path = windows.name(buffer),
    line = api.nvim_win_get_cursor(window)[1],
    text = windows.text(buffer, 1, -1),
  }
end

--- Show a file, at a line.
function M.open_file(arguments)
  local path = vim.fn.fnamemodify(arguments.path, ':p')
  if vim.fn.filereadable(path) == 0 then
    error('there is no file ' .. arguments.path, 0)
  end
  local window = windows.working()
  if not window then
    vim.cmd('topleft new')
    window = api.nvim_get_current_win()
  end
  -- Not :edit, so that nothing in a path is taken for a command.
  local buffer = vim.fn.bufadd(path)
  api.nvim_buf_set_option(buffer, 'buflisted', true)
  api.nvim_win_set_buf(window, buffer)
  local line = math.max(1, math.min(arguments.line or 1, api.nvim_buf_line_count(buffer)))
  api.nvim_win_set_cursor(window, { line, 0 })
  return { path = windows.name(buffer), lines = api.nvim_buf_line_count(buffer) }
end

--- Put text below the line of the cursor. The spec asks for an approval of each use.
function M.insert_text(arguments)
  local window = working()
  local line = api.nvim_win_get_cursor(window)[1]
  local lines = vim.split(arguments.text, '\n', { plain = true })
  api.nvim_buf_set_lines(api.nvim_win_get_buf(window), line, line, false, lines)
  return { inserted = #lines, below = line }
end

return M
