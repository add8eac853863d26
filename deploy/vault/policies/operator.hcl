# A person who makes tokens and calls services by hand, and does nothing else.

# Signs tokens, and sees the public halves of the key that they are checked with.
path "transit/sign/rag-tokens" {
  capabilities = ["update"]
}

path "transit/keys/rag-tokens" {
  capabilities = ["read"]
}

# A certificate by which services know a person: callers.py of each says what such a one may call.
path "pki/sign/operator" {
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
