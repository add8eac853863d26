-- Finds errors of the gateway whose HTTP status is not that of their gRPC code, before the transcoder
-- makes JSON of them; status.lua sets the status. A reason is looked for in the base64 of the status's
-- details, in the three ways in which it can be aligned.
local STATUSES = {
{%- for status, spellings in http_statuses %}
  { status = {{ status | tojson }}, spellings = { {{ spellings | map("tojson") | join(", ") }} } },
{%- endfor %}
}

local function examine(handle, headers)
  if headers == nil or headers:get("grpc-status") ~= "8" then
    return headers ~= nil and headers:get("grpc-status") ~= nil
  end
  local details = headers:get("grpc-status-details-bin")
  if not details then
    -- gRPC's own refusal of a message over its limit; the gateway's errors have details.
    handle:streamInfo():dynamicMetadata():set("rag.edge", "status", "413")
    return true
  end
  for _, entry in ipairs(STATUSES) do
    for _, spelling in ipairs(entry.spellings) do
      if details:find(spelling, 1, true) then
        handle:streamInfo():dynamicMetadata():set("rag.edge", "status", entry.status)
      end
    end
  end
  return true
end

function envoy_on_response(handle)
  if not examine(handle, handle:headers()) then
    examine(handle, handle:trailers())
  end
end
