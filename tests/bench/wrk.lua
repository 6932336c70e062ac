-- Walks through the requests of a file, one a line: method, path, token, ETag, body, separated by tabs.
-- Arguments: the file, and at which request to begin.

local requests, position = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local method, path, token, etag, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
    local headers = { Authorization = "Bearer " .. token }
    if etag ~= "" then
      headers["If-None-Match"] = etag
    end
    if body ~= "" then
      headers["Content-Type"] = "application/json"
    end
    requests[#requests + 1] = wrk.format(method, path, headers, body)
  end
  position = tonumber(arguments[2])
end

function request()
  position = position % #requests + 1
  return requests[position]
end

-- What wrk prints for people has no p95, and a unit of its own in every number.
function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "p50": %d, "p95": %d, "p99": %d, "refused": %d, "failed": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(95), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
