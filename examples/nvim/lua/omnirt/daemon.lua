--- The daemon as a child process: JSON-RPC 2.0 both ways, one message a line.
--
-- `jobstart` is what every Neovim has: it never blocks, splits lines, and calls back where the API may be used.
-- `vim.lsp.rpc` would frame messages too, but wants the answer to a call at once, and a prompt takes its time.

local texts = require('omnirt.text')

local Daemon = {}
Daemon.__index = Daemon

local STDERR_LINES = 5
local GONE = { message = 'the daemon is gone', gone = true } -- `exit` tells of it
local DECODE = { luanil = { object = true, array = true } }

-- One handler's error is shown, and the messages after it are read all the same.
local function guarded(handle, ...)
  local ok, err = pcall(handle, ...)
  if not ok then
    vim.notify('omnirt: ' .. tostring(err), vim.log.levels.ERROR)
  end
end

--- Start a daemon.
-- `handlers` has `notification(method, params)`, `call(call)` with `call.method`, `call.params` and `call.reply(result,
-- error)`, and `exit(daemon, code, stderr)`. Gives nil and why when it can't be started.
local function start(cmd, handlers)
  local self = setmetatable({
    handlers = handlers,
    pending = {}, -- by our ids: what is to be called with the answer
    calls = {}, -- by the daemon's ids: what is not answered yet
    last_id = 0,
    line = {}, -- the pieces of a message that is not complete
    stderr = {}, -- the last lines, for when it dies
  }, Daemon)
  local started, job = pcall(vim.fn.jobstart, cmd, {
    on_stdout = function(_, pieces)
      self:read(pieces)
    end,
    on_stderr = function(_, lines)
      self:keep(lines)
    end,
    on_exit = function(_, code)
      self:exited(code)
    end,
  })
  if not started or job <= 0 then
    return nil, string.format('%s can not be run', cmd[1])
  end
  self.job = job
  return self
end

--- Ask the daemon; `answered(error, result)` is called exactly once.
function Daemon:request(method, params, answered)
  self.last_id = self.last_id + 1
  local id = self.last_id
  self.pending[id] = answered
  local sent, why = self:write({ id = id, method = method, params = params })
  if not sent then
    self.pending[id] = nil
    answered(why)
  end
end

function Daemon:notify(method, params)
  self:write({ method = method, params = params })
end

--- End its stdin: it closes its sessions, finishes its files and exits. Waits for that at most `wait_ms`.
function Daemon:stop(wait_ms)
  pcall(vim.fn.chanclose, self.job, 'stdin')
  if wait_ms and vim.fn.jobwait({ self.job }, wait_ms)[1] == -1 then
    vim.fn.jobstop(self.job)
  end
end

function Daemon:write(message)
  message.jsonrpc = '2.0'
  local encoded, text = pcall(function()
    return vim.json.encode(texts.clean(message)) -- which would send what is no UTF-8
  end)
  if not encoded then
    return false, { message = 'not to be sent as JSON: ' .. text }
  end
  if not pcall(vim.fn.chansend, self.job, text .. '\n') then
    return false, GONE
  end
  return true
end

--- Pieces of stdout: every one but the last ends with a line end.
function Daemon:read(pieces)
  for index, piece in ipairs(pieces) do
    if index > 1 then
      local line = table.concat(self.line)
      self.line = {}
      if line ~= '' then
        guarded(self.receive, self, line)
      end
    end
    table.insert(self.line, piece)
  end
end

function Daemon:receive(line)
  local message = vim.json.decode(line, DECODE)
  local id, method = message.id, message.method
  if method and id then
    self:called(id, method, message.params)
  elseif method == '$/cancelRequest' then
    local call = self.calls[message.params.id]
    if call then
      call.moot = true
      call.reply(nil, { code = -32800, message = 'cancelled' })
    end
  elseif method then
    self.handlers.notification(method, message.params or {})
  elseif id and self.pending[id] then
    local answered = self.pending[id]
    self.pending[id] = nil
    answered(message.error, message.result)
  elseif message.error then -- with id null: a message that the daemon could not read
    vim.notify('omnirt: ' .. message.error.message, vim.log.levels.ERROR)
  end
end

function Daemon:called(id, method, params)
  local call = { method = method, params = params or {} }
  self.calls[id] = call
  call.reply = function(result, err)
    if self.calls[id] then -- once
      self.calls[id] = nil
      self:write({ id = id, result = result, error = err })
    end
  end
  local ok, err = pcall(self.handlers.call, call)
  if not ok then
    call.reply(nil, { code = -32603, message = tostring(err) })
  end
end

function Daemon:keep(lines)
  for _, line in ipairs(lines) do
    if line ~= '' then
      table.insert(self.stderr, line)
    end
  end
  while #self.stderr > STDERR_LINES do
    table.remove(self.stderr, 1)
  end
end

function Daemon:exited(code)
  local pending = self.pending
  self.pending = {}
  for _, call in pairs(self.calls) do
    call.moot = true
  end
  self.calls = {}
  for _, answered in pairs(pending) do
    guarded(answered, GONE)
  end
  guarded(self.handlers.exit, self, code, self.stderr)
end

return { start = start }
