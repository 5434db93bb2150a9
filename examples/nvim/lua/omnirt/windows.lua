--- Where the user works: the window beside the transcripts, and the text in it.

local api = vim.api
local texts = require('omnirt.text')
local M = {}

--- The window with a file that the user looks at, or looked at before going to a transcript; nil when there is none.
function M.working()
  local candidates = { api.nvim_get_current_win() }
  local previous = vim.fn.win_getid(vim.fn.winnr('#'))
  vim.list_extend(candidates, previous ~= 0 and { previous } or {})
  vim.list_extend(candidates, api.nvim_tabpage_list_wins(0))
  for _, window in ipairs(candidates) do
    if api.nvim_buf_get_option(api.nvim_win_get_buf(window), 'buftype') == '' then
      return window
    end
  end
end

--- Lines of a buffer as one text, which is valid UTF-8 whatever bytes they have.
function M.text(buffer, first, last)
  return texts.clean(table.concat(api.nvim_buf_get_lines(buffer, first - 1, last, false), '\n'))
end

--- The name of a buffer as a person writes it.
function M.name(buffer)
  local path = api.nvim_buf_get_name(buffer)
  return path == '' and '[No Name]' or texts.clean(vim.fn.fnamemodify(path, ':.'))
end

return M
