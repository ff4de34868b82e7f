-- Sends the requests of a file over and over, or so many of them once, and prints what came of it as a line of JSON.
-- Arguments: FILE COUNT PAUSE_MS FIRST. COUNT 0: until the time is over. PAUSE_MS: before each request of a connection.
-- A request's MARKER is replaced by a number that is counted up from FIRST, so that no two requests are equal.
local ffi = require("ffi")
ffi.cdef([[
typedef struct { long seconds; long nanoseconds; } moment;
int clock_gettime(int clock, moment *now);
int getpid(void);
int kill(int pid, int number);
]])

local MARKER = "@@@@@@@@@@@@@@@@"
local MONOTONIC, SIGINT, NEVER_MS = 1, 2, 3600000
local requests, pause_ms, number
local place, reserved = 0, 0
local checked = false
-- done() runs apart from the thread that loads, and asks it for these.
count, answered, statuses, began, ended = 0, 0, {}, false, false
local loading

local function now()
  local moment = ffi.new("moment")
  ffi.C.clock_gettime(MONOTONIC, moment)
  return tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
end

-- The file has a line with the number of bytes before each request.
local function read(path)
  local found = {}
  local file = assert(io.open(path, "rb"))
  for line in file:lines() do
    local text = file:read(tonumber(line))
    local from, to = string.find(text, MARKER, 1, true)
    if from then
      found[#found + 1] = { string.sub(text, 1, from - 1), string.sub(text, to + 1) }
    else
      found[#found + 1] = text
    end
  end
  file:close()
  return found
end

local function take()
  place = place % #requests + 1
  local chosen = requests[place]
  if type(chosen) == "string" then return chosen end
  number = number + 1
  return chosen[1] .. string.format("%016d", number) .. chosen[2]
end

-- wrk ends at a signal; until then the connections wait in delay().
local function answer(status)
  answered = answered + 1
  statuses[status] = (statuses[status] or 0) + 1
  if answered == count then
    ended = now()
    ffi.C.kill(ffi.C.getpid(), SIGINT)
  end
end

function setup(thread)
  loading = thread
end

function init(args)
  requests = read(args[1])
  count, pause_ms, number = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  if count > 0 then response = answer end
  if count > 0 or pause_ms > 0 then
    delay = function()
      reserved = reserved + 1
      if count > 0 and reserved > count then return NEVER_MS end
      return pause_ms
    end
  end
end

function request()
  -- wrk makes one request at its start that it does not send.
  if not checked then
    checked = true
    local first = requests[1]
    return type(first) == "string" and first or first[1] .. MARKER .. first[2]
  end
  began = began or now()
  return take()
end

function done(summary, latency)
  local from, to, answers = loading:get("began"), loading:get("ended"), summary.requests
  local seconds = summary.duration / 1e6
  if loading:get("count") > 0 then
    answers = loading:get("answered")
    if to then seconds = to - from end
  end
  local counted = {}
  for status, times in pairs(loading:get("statuses")) do
    counted[#counted + 1] = string.format('"%s": %d', status, times)
  end
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"answers": %d, "seconds": %.6f, "refused": %d, "broken": %d, "late": %d, ' ..
    '"p50_us": %d, "p90_us": %d, "p99_us": %d, "max_us": %d, "statuses": {%s}}\n',
    answers, seconds, errors.status, errors.connect + errors.read + errors.write, errors.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max, table.concat(counted, ", ")))
end
