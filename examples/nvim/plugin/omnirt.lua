-- The commands. What they do is loaded when the first of them is used.
if vim.g.loaded_omnirt then
  return
end
vim.g.loaded_omnirt = true

local command = vim.api.nvim_create_user_command

command('OmnirtTalk', function(call)
  require('omnirt').talk(call.args)
end, { nargs = '?', desc = 'Start a talk with a voice agent' })

command('OmnirtSay', function(call)
  require('omnirt').say(call.args)
end, { nargs = '*', desc = 'Write to the agent' })

command('OmnirtSend', function(call)
  require('omnirt').send(call.line1, call.line2, call.args)
end, { nargs = '*', range = '%', desc = 'Show lines to the agent, and ask about them' })

command('OmnirtInterrupt', function()
  require('omnirt').interrupt()
end, { desc = 'Stop what the agent is saying' })

command('OmnirtStop', function(call)
  require('omnirt').stop(call.bang)
end, { bang = true, desc = 'End the talk; with ! all talks and the daemon' })
