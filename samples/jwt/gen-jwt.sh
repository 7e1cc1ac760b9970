#!/bin/sh
# Makes JSON Web Tokens to try policies with. The key is in the file jwt.key of the current directory, and is created if it does not exist.
# usage: gen-jwt.sh jwks             print the public key as a JSON Web Key Set
#        gen-jwt.sh token CLAIMS     print a token with these claims, for example '{"iss":"testing@example.com","sub":"ann"}'
set -eu

encode() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

[ -e jwt.key ] || (umask 077 && openssl genrsa -out jwt.key 2048 2>/dev/null)

case "${1-}" in
  jwks)
    # Before the last five bytes, the exponent, come the 256 of the modulus.
    modulus=$(openssl rsa -in jwt.key -RSAPublicKey_out -outform DER 2>/dev/null | tail -c 261 | head -c 256 | encode)
    printf '{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"sample","e":"AQAB","n":"%s"}]}\n' "$modulus"
    ;;
  token)
    if [ "$#" -ne 2 ]; then
      echo "gen-jwt.sh: token needs the claims, for example '{\"iss\":\"testing@example.com\",\"sub\":\"ann\"}'" >&2
      exit 1
    fi
    head=$(printf '{"alg":"RS256","kid":"sample","typ":"JWT"}' | encode)
    body=$(printf '%s' "$2" | encode)
    printf '%s.%s.%s\n' "$head" "$body" "$(printf '%s.%s' "$head" "$body" | openssl dgst -sha256 -sign jwt.key -binary | encode)"
    ;;
  *)
    sed -n '2,4s/^# //p' "$0" >&2
    exit 1
    ;;
esac
