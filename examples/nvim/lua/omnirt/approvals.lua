--- Asks the user whether a tool may run: one question at a time, with `vim.ui.select`.

local M = {}

local CHOICES = {
  { text = 'Yes', answer = { decision = 'approve' } },
  { text = 'No', answer = { decision = 'reject' } },
  { text = 'Yes, for the rest of this talk', answer = { decision = 'approve', always = true } },
  { text = 'No, not in this talk', answer = { decision = 'reject', always = true } },
}

local waiting = {}
local asking = false

local ask_next

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
    prompt = string.format('May %s run %s(%s)?', params.agent, params.toolName, vim.fn.json_encode(params.arguments)),
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
    local call = table.remove(waiting, 1)
    if not call.moot then -- its time may have run out while another question stood
      ask(call)
    end
  end
end

--- Answer a `tool.approve` call, sooner or later.
function M.ask(call)
  table.insert(waiting, call)
  vim.schedule(ask_next) -- a prompt may wait for a key, and messages are read meanwhile
end

return M
