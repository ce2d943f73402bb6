-- The load of every contest, for wrk: GETs of a list of paths, signed deliveries, or both in turns.
-- BENCH_PATHS:    a file with one path a line. Every request looks like a new visitor; no cookie is kept.
-- BENCH_TEMPLATE: a file with a body that holds @@ID@@ and @@TOKEN@@. Every delivery is a new order, signed anew by
--                 Standard Webhooks with BENCH_SECRET (hexadecimal) and sent to BENCH_HOOK.
-- BENCH_TOKENS:   a file with one click token a line.
-- BENCH_EVERY:    where both are given, every n-th request is a delivery.
-- BENCH_RUN:      a number that makes the ids of this run unlike those of all others.
local ffi = require("ffi")
ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *md, const void *key, int klen, const unsigned char *d, size_t n, unsigned char *out,
                    unsigned int *olen);
int EVP_EncodeBlock(unsigned char *t, const unsigned char *f, int n);
]]

local function lines(name)
  local out = {}
  if name then for line in io.lines(name) do if #line > 0 then out[#out + 1] = line end end end
  return out
end

local function split(text, marker)
  local from, to = text:find(marker, 1, true)
  assert(from, "marker missing: " .. marker)
  return text:sub(1, from - 1), text:sub(to + 1)
end

local AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
  .. "Version/17.5 Mobile/15E148 Safari/604.1"

function init(args)
  host = wrk.host .. ":" .. wrk.port
  gets, n, sent = {}, 0, 0
  for i, path in ipairs(lines(os.getenv("BENCH_PATHS"))) do
    gets[i] = wrk.format("GET", path, { ["Host"] = host, ["User-Agent"] = AGENT,
      ["Accept-Language"] = "zh-TW,zh;q=0.9,en;q=0.6", ["Accept"] = "text/html,application/xhtml+xml" })
  end
  run = tonumber(os.getenv("BENCH_RUN") or "1")
  every = tonumber(os.getenv("BENCH_EVERY") or "0")
  if os.getenv("BENCH_TEMPLATE") then
    local file = assert(io.open(os.getenv("BENCH_TEMPLATE"), "rb"))
    local text = file:read("*a")
    file:close()
    local rest
    p1, rest = split(text, "@@ID@@")
    p2, p3 = split(rest, "@@TOKEN@@")
    tokens = lines(os.getenv("BENCH_TOKENS"))
    hook = os.getenv("BENCH_HOOK")
    crypto = ffi.load("libcrypto.so.3")
    sha256 = crypto.EVP_sha256()
    secret = os.getenv("BENCH_SECRET"):gsub("..", function(pair) return string.char(tonumber(pair, 16)) end)
    mac, len, b64 = ffi.new("unsigned char[32]"), ffi.new("unsigned int[1]"), ffi.new("unsigned char[64]")
  end
end

local function delivery()
  sent = sent + 1
  local id = string.format("%04d%09d", run, sent)
  local body = p1 .. id .. p2 .. tokens[sent % #tokens + 1] .. p3
  local name, at = "msg_" .. id, tostring(os.time())
  local signed = name .. "." .. at .. "." .. body
  crypto.HMAC(sha256, secret, #secret, ffi.cast("const unsigned char*", signed), #signed, mac, len)
  local size = crypto.EVP_EncodeBlock(b64, mac, 32)
  return wrk.format("POST", hook, { ["Host"] = host, ["Content-Type"] = "application/json", ["webhook-id"] = name,
    ["webhook-timestamp"] = at, ["webhook-signature"] = "v1," .. ffi.string(b64, size) }, body)
end

function request()
  n = n + 1
  if hook and (#gets == 0 or (every > 0 and n % every == 0)) then return delivery() end
  return gets[(n + run * 977) % #gets + 1]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n@@{"requests":%d,"rate":%.3f,"p50":%.4f,"p99":%.4f,"bad":%d,"lost":%d}\n',
    summary.requests, summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
