# The gateway reads its own secrets, gets its own certificate, and signs and checks tokens.

path "secret/data/rag/gateway/*" {
  capabilities = ["read"]
}

# Signs tokens, and sees the public halves of the key that they are checked with.
path "transit/sign/rag-tokens" {
  capabilities = ["update"]
}

path "transit/keys/rag-tokens" {
  capabilities = ["read"]
}

# A key never travels: only a request is signed, and its life ends with the role's.
path "pki/sign/gateway" {
  capabilities       = ["update"]
  allowed_parameters = {
    "csr"         = []
    "common_name" = [""]
    "ttl"         = []
  }
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

# Gives its token back when it stops.
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
