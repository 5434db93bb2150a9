--- A buffer in which a talk is shown. It is made of entries, which may still grow after others have come.

local api = vim.api
local Transcript = {}
Transcript.__index = Transcript

local NAMESPACE = api.nvim_create_namespace('omnirt')
local INDENT = '  '

--- Make a buffer of this name; `on_gone` is called when the user deletes it.
local function new(name, on_gone)
  local buffer = api.nvim_create_buf(true, true)
  api.nvim_buf_set_name(buffer, name)
  -- bufhidden and undolevels: it outlives its window, and nobody undoes what was said
  local options = { bufhidden = 'hide', undolevels = -1, filetype = 'omnirt', modifiable = false }
  for option, value in pairs(options) do
    api.nvim_buf_set_option(buffer, option, value)
  end
  api.nvim_create_autocmd('BufUnload', { buffer = buffer, once = true, callback = on_gone })
  return setmetatable({ buffer = buffer, entries = {}, state = '' }, Transcript)
end

--- Show an entry: a new one at the end, or one with a key again.
function Transcript:put(key, label, text)
  local lines = vim.split(label .. text, '\n', { plain = true })
  for index = 2, #lines do
    lines[index] = INDENT .. lines[index]
  end
  local entry, first = self:find(key)
  if entry then
    self:replace(first, entry.height, lines)
    entry.height = #lines
  else
    -- An empty buffer has one line; the first entry takes its place.
    self:replace(first, #self.entries == 0 and 1 or 0, lines)
    table.insert(self.entries, { key = key, height = #lines })
  end
end

--- Take an entry away.
function Transcript:remove(key)
  local entry, first, index = self:find(key)
  if entry then
    self:replace(first, entry.height, {})
    table.remove(self.entries, index)
  end
end

--- Show what the agent is doing, behind the last line and as b:omnirt_state for statuslines.
function Transcript:set_state(state)
  self.state = state
  if api.nvim_buf_is_loaded(self.buffer) then
    api.nvim_buf_set_var(self.buffer, 'omnirt_state', state)
    self:draw_state()
    vim.cmd('redrawstatus!')
  end
end

--- Show the buffer in a window that `open`, an Ex command, makes; the cursor stays where it is.
function Transcript:show(open)
  local window = api.nvim_get_current_win()
  vim.cmd(open)
  api.nvim_win_set_buf(0, self.buffer)
  for option, value in pairs({ wrap = true, linebreak = true, number = false, relativenumber = false }) do
    api.nvim_win_set_option(0, option, value)
  end
  api.nvim_set_current_win(window)
end

-- The entry with this key, its first line and its index; without one the line after the last.
function Transcript:find(key)
  local first = 0
  for index, entry in ipairs(self.entries) do
    if key and entry.key == key then
      return entry, first, index
    end
    first = first + entry.height
  end
  return nil, first
end

function Transcript:replace(first, height, lines)
  if not api.nvim_buf_is_loaded(self.buffer) then
    return
  end
  local following = self:windows_at_the_end()
  api.nvim_buf_set_option(self.buffer, 'modifiable', true)
  api.nvim_buf_set_lines(self.buffer, first, first + height, false, lines)
  api.nvim_buf_set_option(self.buffer, 'modifiable', false)
  api.nvim_buf_set_option(self.buffer, 'modified', false)
  self:draw_state()
  for _, window in ipairs(following) do
    api.nvim_win_set_cursor(window, { api.nvim_buf_line_count(self.buffer), 0 })
  end
end

-- Windows, in any tab, whose cursor is on the last line: they follow.
function Transcript:windows_at_the_end()
  local last = api.nvim_buf_line_count(self.buffer)
  return vim.tbl_filter(function(window)
    return api.nvim_win_get_cursor(window)[1] == last
  end, vim.fn.win_findbuf(self.buffer))
end

function Transcript:draw_state()
  api.nvim_buf_clear_namespace(self.buffer, NAMESPACE, 0, -1)
  if self.state ~= '' then
    local mark = { virt_text = { { '● ' .. self.state, 'Comment' } }, virt_text_pos = 'eol' }
    api.nvim_buf_set_extmark(self.buffer, NAMESPACE, api.nvim_buf_line_count(self.buffer) - 1, 0, mark)
  end
end

return { new = new }
