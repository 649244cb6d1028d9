-- The removal of a cluster by somebody who may only look. Being refused is what succeeds here.
wrk.method = "DELETE"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
wrk.headers["Accept"] = "application/json"

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(_)
   wrong = 0
end

function response(status)
   if status ~= 403 then
      wrong = wrong + 1
   end
end

function done(summary, latency, _)
   local others = 0
   for _, thread in ipairs(threads) do
      others = others + thread:get("wrong")
   end
   local errors = summary.errors
   io.write(string.format(
      '\nRESULT {"requests": %d, "seconds": %.6f, "failed": %d, "unanswered": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
      summary.requests, summary.duration / 1e6, others,
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
