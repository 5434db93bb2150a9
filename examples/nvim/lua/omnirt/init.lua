--- Talks with voice agents: what the commands do. See |omnirt| for all of it.

local daemons = require('omnirt.daemon')
local talks = require('omnirt.talk')
local windows = require('omnirt.windows')

local M = {}

local EXIT_MS = 3000 -- a daemon without requests in flight is gone within 2 s
-- Nothing here plays audio: that is what `devices` are for.
local UNWANTED = { 'realtime.audio', 'realtime.audioEnd', 'realtime.usage' }

local config = {
  cmd = { 'omnirt', 'serve' },
  agent = 'editor',
  devices = false, -- as in session.start; without any the talk is in writing
  session = {}, -- more members of session.start: settings, realtime, variables, …
  open = 'botright 12split',
  tools = {},
}
local daemon
local sessions = {} -- talks by session id
local uses = 0
local count = 0

--- Change options; see |omnirt-options|.
function M.setup(options)
  config = vim.tbl_extend('force', config, options or {})
end

local function complain(text)
  vim.notify('omnirt: ' .. text, vim.log.levels.ERROR)
end

local function call_tool(call)
  local name = call.params.toolName
  local tool = config.tools[name] or require('omnirt.tools')[name]
  if not tool then
    return call.reply(nil, { code = -32601, message = 'this editor has no tool ' .. name })
  end
  local ok, output = pcall(tool, call.params.arguments)
  if ok then
    call.reply({ output = output == nil and vim.NIL or output })
  else
    call.reply(nil, { code = -32603, message = tostring(output) })
  end
end

local handlers = {}

function handlers.notification(method, params)
  local talk = sessions[params.sessionId]
  if talk then
    talk:tell(method, params)
  elseif method == 'log.message' then
    vim.notify('omnirt: ' .. params.message, params.level == 'error' and vim.log.levels.ERROR or vim.log.levels.WARN)
  end
end

function handlers.call(call)
  if call.method == 'tool.call' then
    call_tool(call)
  elseif call.method == 'tool.approve' then
    require('omnirt.approvals').ask(call)
  else
    call.reply(nil, { code = -32601, message = 'unknown call ' .. call.method })
  end
end

function handlers.exit(gone, code, stderr)
  daemon = daemon ~= gone and daemon or nil
  for _, talk in pairs(sessions) do
    if talk.daemon == gone and not talk.over then
      talk:complain(table.concat({ string.format('The daemon ended (exit code %d)', code), unpack(stderr) }, '\n'))
      talk:finish('the daemon is gone')
    end
  end
end

local function start_daemon()
  local err
  daemon, err = daemons.start(config.cmd, handlers)
  if not daemon then
    return complain(err .. ': is omnirt installed? (:help omnirt-install)')
  end
  -- What is asked next need not wait for the answer.
  daemon:request('initialize', {
    clientInfo = { name = 'omnirt.nvim' },
    processId = vim.fn.getpid(),
    capabilities = { tools = true, approvals = true },
    optOutNotifications = UNWANTED,
  }, function(failure)
    if failure and not failure.gone then
      complain(failure.message)
    end
  end)
end

local function used(talk)
  uses = uses + 1
  talk.used = uses
end

--- Start a talk with an agent: the name of one, or a spec. Gives the session's id.
function M.talk(agent)
  if not daemon then
    start_daemon()
    if not daemon then
      return
    end
  end
  count = count + 1
  local id = string.format('nvim-%s-%d-%d', os.date('!%Y%m%dT%H%M%SZ'), vim.fn.getpid(), count)
  local talk
  talk = talks.new(id, function()
    M.end_talk(talk)
    sessions[id] = nil
  end)
  talk.daemon = daemon
  sessions[id] = talk
  used(talk)
  talk.transcript:show(config.open)
  local params = vim.tbl_extend('force', config.session, {
    sessionId = id,
    agent = (agent == nil or agent == '') and config.agent or agent,
    devices = config.devices or nil,
  })
  if not params.devices and not params.realtime then
    params.realtime = { modalities = { 'text' } }
  end
  daemon:request('session.start', params, function(failure)
    if failure and not failure.gone then
      talk:complain(failure.message)
      talk:finish('it could not be started')
    end
  end)
  return id
end

--- Ask the daemon of the talks anything, such as history.list; `answered(error, result)` is called with the answer.
function M.request(method, params, answered)
  if not daemon then
    return answered({ message = 'there is no daemon' })
  end
  daemon:request(method, params, answered)
end

-- The talk that a command means: that of the current buffer, else the latest of those that go on.
local function current()
  local buffer = vim.api.nvim_get_current_buf()
  local latest
  for _, talk in pairs(sessions) do
    if talk.transcript.buffer == buffer then
      if talk.over then
        complain('this talk is over; :OmnirtTalk begins one')
        return nil
      end
      used(talk)
    end
    if not talk.over and (not latest or talk.used > latest.used) then
      latest = talk
    end
  end
  if not latest then
    complain('there is no talk; :OmnirtTalk begins one')
  end
  return latest
end

-- Ask something of a talk's session; an error is shown in its transcript, else `done` is called.
local function ask(talk, method, params, done)
  talk.daemon:request(method, vim.tbl_extend('force', { sessionId = talk.id }, params or {}), function(failure)
    if failure and not failure.gone and not talk.over then
      talk:complain(failure.message)
    elseif done and not failure then
      done()
    end
  end)
end

--- Write to the agent; asks for the text when there is none.
function M.say(text)
  if text and text ~= '' then
    local talk = current()
    return talk and ask(talk, 'session.sendText', { text = text })
  end
  vim.ui.input({ prompt = 'Say: ' }, function(input)
    if input and input ~= '' then
      M.say(input)
    end
  end)
end

--- Show lines of the current buffer to the agent; with a question, ask it.
function M.send(first, last, question)
  local talk = current()
  if not talk then
    return
  end
  local buffer = vim.api.nvim_get_current_buf()
  local place = string.format('%s, lines %d to %d', windows.name(buffer), first, last)
  local kind = vim.api.nvim_buf_get_option(buffer, 'filetype')
  local text = string.format('%s:\n```%s\n%s\n```', place, kind, windows.text(buffer, first, last))
  talk.shown_as[text] = 'You show ' .. place
  local content = { { type = 'input_text', text = text } }
  -- A question about lines that the agent was not shown would be asked for nothing.
  ask(talk, 'session.sendMessage', { content = content, respond = false }, question and question ~= '' and function()
    ask(talk, 'session.sendText', { text = question })
  end or nil)
end

--- Stop what the agent is saying.
function M.interrupt()
  local talk = current()
  if talk then
    ask(talk, 'session.interrupt')
  end
end

--- End a talk.
function M.end_talk(talk)
  if not talk.over then
    ask(talk, 'session.stop')
  end
end

--- End the current talk, or all of them and the daemon.
function M.stop(all)
  if not all then
    local talk = current()
    return talk and M.end_talk(talk)
  end
  if daemon then
    daemon:stop()
    daemon = nil -- the next talk gets another one
  end
end

vim.api.nvim_create_autocmd('VimLeavePre', {
  group = vim.api.nvim_create_augroup('omnirt', {}),
  callback = function()
    if daemon then
      daemon:stop(EXIT_MS)
    end
  end,
})

return M
