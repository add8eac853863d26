#!/usr/bin/env bash
# Verifies that the release workflow signed the images: SIGNED_IMAGES are references by digest, separated by
# spaces, and SIGNER is the URL of the repository. Exits with 127 if it cannot look.
set -euo pipefail
cannot() {
  echo "$1"
  exit 127
}
[ -n "${SIGNED_IMAGES:-}" ] || cannot "SIGNED_IMAGES names no images: give references by digest"
[ -n "${SIGNER:-}" ] || cannot "SIGNER names no repository: give its URL"
command -v cosign >/dev/null || cannot "cosign is not installed"
for image in $SIGNED_IMAGES; do
  cosign verify "$image" \
    --certificate-oidc-issuer https://token.actions.githubusercontent.com \
    --certificate-identity-regexp "^$SIGNER/.github/workflows/release.yaml@refs/tags/v"
done
