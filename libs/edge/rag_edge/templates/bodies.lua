-- Decides before the body what a call will be refused for, and discards the bodies of refused calls.
--
-- An HTTP/2 server that answers before the request is complete must reset the stream, and clients
-- that are still sending (curl 7.88, grpc-core, httpx) then report a broken stream and lose the answer.
-- So a refused request is read to its end first. Nothing of it is held: each piece is emptied as it
-- arrives, the buffer filter behind this one waits for the end, and the route that the metadata
-- `rag.edge: refused` selects (routes.yaml.j2) gives the answer.
--
-- Calls that may never end are answered at once: CONNECT, and gRPC methods that are unknown or stream
-- in both directions, whose clients may wait for an answer before they go on.
--
-- The route's filter context:
--   largest  bytes that a body may have; none if it is streamed
--   refused  the status that every call of this route gets
--   public   true if no credential is needed
local DISCARDED = {{ discard_bytes }}

local function refuse(handle, status)
  handle:streamInfo():dynamicMetadata():set("rag.edge", "refused", status)
  handle:clearRouteCache()
  return status
end

-- Only for how the body is treated: jwt_authn, further on, decides who gets in.
local function has_credential(handle)
  -- The claims of a good token, which the filter before this one notes; or the form of an API key.
  if handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn") then
    return true
  end
  local value = handle:headers():get("authorization")
  return value ~= nil and value:find("^[Bb]earer rag_[%w._~+/=-]+$") ~= nil
end

local function is_endless(handle, context, largest)
  local form = handle:headers():get("content-type")
  return form ~= nil and form:find("application/grpc", 1, true) == 1
    and (context:get("refused") == "404" or context:get("public") and not largest)
end

local function status_of(handle, context, largest, length)
  if handle:headers():get("x-edge-limited") then
    return "429"
  elseif not context:get("public") and not has_credential(handle) then
    return "401"
  elseif context:get("refused") then
    return context:get("refused")
  elseif largest and length and length > largest then
    return "413"
  end
end

function envoy_on_request(handle)
  if handle:headers():get(":method") == "CONNECT" then
    return handle:respond({[":status"] = "404"}, "")
  end
  local context = handle:filterContext()
  local length = tonumber(handle:headers():get("content-length") or nil)
  local largest = context:get("largest")
  local refused = status_of(handle, context, largest, length)
  if refused and is_endless(handle, context, largest) then
    if refused == "429" then
      return handle:respond({[":status"] = "429"}, "")
    end
    refuse(handle, "now")
    return
  elseif refused then
    refuse(handle, refused)
  elseif length or not largest then
    return
  end
  local received = 0
  for piece in handle:bodyChunks() do
    received = received + piece:length()
    if not refused and received > largest then
      refused = refuse(handle, "413")
    end
    -- What comes after DISCARDED bytes goes on to the buffer filter, which refuses it at once.
    if refused and received <= DISCARDED and (length or 0) <= DISCARDED then
      piece:setBytes("")
    end
  end
end
