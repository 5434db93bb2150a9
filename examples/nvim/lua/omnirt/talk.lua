--- One session: what the daemon tells of it, put into its transcript.

local texts = require('omnirt.text')
local transcripts = require('omnirt.transcript')

local Talk = {}
Talk.__index = Talk

local ARGUMENTS_SHOWN = 80

--- Make a talk that is not started yet; `on_gone` is called when the user deletes its buffer.
local function new(session_id, on_gone)
  local self = setmetatable({
    id = session_id,
    agent = 'Agent', -- until one is told
    items = {}, -- by id: what is shown of each message
    shown_as = {}, -- texts that are not shown in full: what stands for them
    over = false,
  }, Talk)
  self.transcript = transcripts.new('omnirt://' .. session_id, on_gone)
  self.transcript:set_state('starting')
  return self
end

function Talk:note(text)
  self.transcript:put(nil, '* ', text)
end

function Talk:complain(text)
  self.transcript:put(nil, '! ', text)
end

--- It ended, with a reason for the user.
function Talk:finish(reason)
  if not self.over then
    self.over = true
    self:note('The talk is over: ' .. reason)
    self.transcript:set_state('')
  end
end

--- Take a notification.
function Talk:tell(method, params)
  local handle = self['on_' .. method:gsub('^realtime%.', '')]
  if handle then -- others may come, with later versions too
    handle(self, params)
  end
end

function Talk:on_state(params)
  if not self.over then
    self.transcript:set_state(params.state)
  end
end

function Talk:on_itemAdded(params)
  local item = params.item
  if item.type ~= 'message' or item.role == 'system' then
    return
  end
  local shown = self:item(item.itemId, item.role)
  for index, part in ipairs(item.content or {}) do
    shown.parts[index] = part.text or part.transcript or (part.type == 'image' and '(an image)') or shown.parts[index]
  end
  if item.interrupted then
    shown.cut = true
    shown.heard = item.heardText
  end
  self:show(item.itemId)
end

Talk.on_itemUpdated = Talk.on_itemAdded

function Talk:on_itemRemoved(params)
  self.items[params.itemId] = nil
  self.transcript:remove(params.itemId)
end

function Talk:on_textDelta(params)
  local parts, index = self:item(params.itemId, params.role).parts, params.contentIndex + 1
  parts[index] = (parts[index] or '') .. params.delta
  self:show(params.itemId)
end

function Talk:on_textDone(params)
  local failed = params.error and '(not understood)'
  self:item(params.itemId, params.role).parts[params.contentIndex + 1] = failed or params.text
  self:show(params.itemId)
end

Talk.on_transcriptDelta = Talk.on_textDelta
Talk.on_transcriptDone = Talk.on_textDone

function Talk:on_toolStart(params)
  self:show_tool(params, '…')
end

function Talk:on_toolEnd(params)
  self:show_tool(params, params.error and (params.status .. ', ' .. params.error.message) or params.status)
end

function Talk:on_agentStart(params)
  self.agent = params.agent
end

function Talk:on_handoff(params)
  self:note(params.fromAgent .. ' hands over to ' .. params.toAgent)
end

function Talk:on_guardrailTripped(params)
  self:complain(params.message)
end

function Talk:on_responseEnd(params)
  if params.error then
    self:complain(params.error.message)
  end
end

function Talk:on_mcpStatus(params)
  if params.status == 'failed' then
    local why = params.error and ': ' .. params.error.message or ''
    self:complain('The MCP server ' .. params.server .. ' failed' .. why)
  end
end

function Talk:on_flow(params)
  if params.lost then
    self:complain(string.format('%d ms of audio were lost', params.droppedMs))
  end
end

function Talk:on_error(params)
  self:complain(params.message)
end

function Talk:on_closed(params)
  self:finish(params.error and (params.reason .. ', ' .. params.error.message) or params.reason)
end

-- What is shown of a message: its texts by content index; of an answer that was cut only what was heard.
function Talk:item(id, role)
  if not self.items[id] then
    self.items[id] = { label = role == 'user' and 'You: ' or self.agent .. ': ', parts = {} }
  end
  return self.items[id]
end

function Talk:show(id)
  local item = self.items[id]
  local shown = {}
  for index = 1, table.maxn(item.parts) do
    if item.parts[index] then
      table.insert(shown, item.parts[index])
    end
  end
  local text = item.heard or table.concat(shown, '\n')
  local label = item.label
  if self.shown_as[text] then
    label, text = '* ', self.shown_as[text]
  end
  if item.cut then
    text = text == '' and '[cut]' or text .. ' [cut]'
  elseif text == '' then
    text = '…'
  end
  self.transcript:put(id, label, text)
end

function Talk:show_tool(params, result)
  local arguments = texts.json(params.arguments)
  if vim.fn.strchars(arguments) > ARGUMENTS_SHOWN then
    arguments = vim.fn.strcharpart(arguments, 0, ARGUMENTS_SHOWN) .. '…'
  end
  self.transcript:put(params.toolCallId, '* ', string.format('%s(%s): %s', params.toolName, arguments, result))
end

return { new = new }
