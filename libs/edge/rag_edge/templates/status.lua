-- Some errors have another HTTP status than their gRPC code: errors.lua has found them.
function envoy_on_response(handle)
  local found = handle:streamInfo():dynamicMetadata():get("rag.edge")
  local form = handle:headers():get("content-type")
  if found and found.status and form and form:find("application/json", 1, true) then
    handle:headers():replace(":status", found.status)
  end
end
