# The ingestor has no secrets but its certificate.

# A key never travels: only a request is signed, and its life ends with the role's.
path "pki/sign/ingestor" {
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
