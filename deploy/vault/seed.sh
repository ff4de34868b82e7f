#!/bin/sh
# Gives each service a policy, an AppRole and its secrets in Vault's KV version 2 engine; may be run again at any time.
#
# Reads VAULT_ADDR, VAULT_TOKEN (one that may administer) and VAULT_SECRET_ID (of all AppRoles; role ids are the names of
# the services), and the secrets DB_PASSWORD, REDIS_PASSWORD, JWT_SECRET, GRPC_CREDENTIALS, XENDIT_SECRET_API_KEY and
# XENDIT_WEBHOOK_TOKEN. Stops with an error that names the first one missing.
set -eu

: "${VAULT_ADDR:?}" "${VAULT_TOKEN:?}" "${VAULT_SECRET_ID:?}"
: "${DB_PASSWORD:?}" "${REDIS_PASSWORD:?}" "${JWT_SECRET:?}" "${GRPC_CREDENTIALS:?}"
: "${XENDIT_SECRET_API_KEY:?}" "${XENDIT_WEBHOOK_TOKEN:?}"

folder=$(dirname "$0")

# The command line reads a value that begins with @ from a file, unless there is a backslash before it.
literal() {
  case $1 in
    @*) printf '\\%s' "$1" ;;
    *) printf '%s' "$1" ;;
  esac
}

allow() {
  role="auth/approle/role/$1"
  sed "s/SERVICE/$1/" "$folder/policy.hcl" | vault policy write "$1" -
  # Services renew their tokens, every VAULT_WATCH_INTERVAL_S.
  vault write "$role" token_policies="$1" token_ttl=1h
  vault write "$role/role-id" role_id="$1"
  id="secret_id=$(literal "$VAULT_SECRET_ID")"
  vault write "$role/custom-secret-id" "$id" > /dev/null 2>&1 || {
    # It is there already, and can't be written over.
    vault write "$role/secret-id/destroy" "$id"
    vault write "$role/custom-secret-id" "$id" > /dev/null
  }
}

store() {
  service=$1
  shift
  vault kv put -mount=secret "$service" "$@" \
    database.password="$(literal "$DB_PASSWORD")" \
    redis.password="$(literal "$REDIS_PASSWORD")" \
    jwt_secret="$(literal "$JWT_SECRET")" \
    grpc_credentials="$(literal "$GRPC_CREDENTIALS")" > /dev/null
}

vault auth list | grep -q '^approle/' || vault auth enable approle
for service in userfc productfc orderfc paymentfc; do
  allow "$service"
done
store userfc
store productfc
store orderfc
store paymentfc \
  xendit.secret_api_key="$(literal "$XENDIT_SECRET_API_KEY")" \
  xendit.webhook_token="$(literal "$XENDIT_WEBHOOK_TOKEN")"
