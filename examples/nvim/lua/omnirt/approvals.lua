--- Asks the user whether a tool may run: one question at a time, with `vim.ui.select`.

local texts = require('omnirt.text')

local M = {}

local RETRY_MS = 200
local CHOICES = {
  { text = 'Yes', answer = { decision = 'approve' } },
  { text = 'No', answer = { decision = 'reject' } },
  { text = 'Yes, for the rest of this talk', answer = { decision = 'approve', always = true } },
  { text = 'No, not in this talk', answer = { decision = 'reject', always = true } },
}

local waiting = {}
local asking = false

local trying = false

local ask_next

-- Keys that are typed into a text, or already lie waiting, are no answer: "1" would be a yes.
local function disturbs()
  local mode = vim.api.nvim_get_mode().mode
  return (mode ~= 'n' and mode ~= 'nt') or vim.fn.getchar(1) ~= 0
end

-- Ask when the user is done, and say meanwhile that there is a question.
local function ask_later(call)
  if not call.announced then
    call.announced = true
    local text = string.format('omnirt: may %s run? You are asked in normal mode', call.params.toolName)
    vim.notify(vim.fn.strcharpart(text, 0, vim.v.echospace), vim.log.levels.WARN)
  end
  if not trying then
    trying = true
    vim.defer_fn(function()
      trying = false
      ask_next()
    end, RETRY_MS)
  end
end

local function ask(call)
  asking = true
  local done = false
  local function answered(choice)
    if done then
      return
    end
    done, asking = true, false
    call.reply(choice and choice.answer or { decision = 'reject' }) -- nothing chosen is a no
    ask_next()
  end
  local params = call.params
  local ok, err = pcall(vim.ui.select, CHOICES, {
    prompt = string.format('May %s run %s(%s)?', params.agent, params.toolName, texts.json(params.arguments)),
    kind = 'omnirt',
    format_item = function(choice)
      return choice.text
    end,
  }, answered)
  if not ok then
    vim.notify('omnirt: ' .. tostring(err), vim.log.levels.ERROR)
    answered(nil)
  end
end

ask_next = function()
  while not asking and #waiting > 0 do
    local call = waiting[1]
    if call.moot then -- its time may have run out while it waited
      table.remove(waiting, 1)
    elseif disturbs() then
      return ask_later(call)
    else
      ask(table.remove(waiting, 1))
    end
  end
end

--- Answer a `tool.approve` call, sooner or later.
function M.ask(call)
  table.insert(waiting, call)
  vim.schedule(ask_next) -- a prompt may wait for a key, and messages are read meanwhile
end

return M
