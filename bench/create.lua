-- Creates one cluster after another: every request has a name of its own.
dofile(os.getenv("BENCH_DIR") .. "/report.lua")
local before, after = os.getenv("ORDER"):match("^(.*)NAME(.*)$")
local prefix, path, number = os.getenv("PREFIX"), os.getenv("ORDER_PATH"), 0
wrk.headers["Authorization"] = os.getenv("AUTHORIZATION")
wrk.headers["Content-Type"] = "application/json"
function request()
   number = number + 1
   return wrk.format("POST", path, nil, before .. prefix .. number .. after)
end
