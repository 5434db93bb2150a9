--- Texts as JSON takes them. Strings of Lua are bytes, and a buffer may have any.

local M = {}

local function two_bytes(byte)
  local code = byte:byte()
  return string.char(0xC0 + math.floor(code / 64), 0x80 + code % 64)
end

--- A value in which all texts are valid UTF-8: one that is not was Latin-1. What is no text stays as it is.
function M.clean(value)
  if type(value) == 'string' then
    -- json_encode refuses what is no UTF-8, and takes a text with a NUL, which is valid, for a blob.
    local without_nul = value:gsub('%z', '')
    return pcall(vim.fn.json_encode, without_nul) and value or (value:gsub('[\128-\255]', two_bytes))
  elseif type(value) == 'table' then
    local cleaned = {}
    for key, member in pairs(value) do
      cleaned[M.clean(key)] = M.clean(member)
    end
    return setmetatable(cleaned, getmetatable(value)) -- by which an empty object is known
  end
  return value
end

--- A value as JSON to read.
function M.json(value)
  return (vim.json.encode(value):gsub('\\/', '/'))
end

return M
