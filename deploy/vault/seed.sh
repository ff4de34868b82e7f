#!/bin/sh
# Gives each service and the console a policy, an AppRole and its secrets in Vault's KV version 2 engine; may be run again at any time.
#
# Reads VAULT_ADDR, VAULT_TOKEN (one that may administer), the secret id of each AppRole in USERFC_VAULT_SECRET_ID,
# PRODUCTFC_VAULT_SECRET_ID, ORDERFC_VAULT_SECRET_ID, PAYMENTFC_VAULT_SECRET_ID and CONSOLE_VAULT_SECRET_ID (role ids
# are the names of the services), and the secrets DB_PASSWORD, REDIS_PASSWORD, JWT_SECRET, GRPC_CREDENTIALS, XENDIT_SECRET_API_KEY and
# XENDIT_WEBHOOK_TOKEN. Stops with an error that names the first one missing. Secrets go through files that only this
# user may read: arguments of a process are visible to others.
set -eu

: "${VAULT_ADDR:?}" "${VAULT_TOKEN:?}"
: "${USERFC_VAULT_SECRET_ID:?}" "${PRODUCTFC_VAULT_SECRET_ID:?}"
: "${ORDERFC_VAULT_SECRET_ID:?}" "${PAYMENTFC_VAULT_SECRET_ID:?}" "${CONSOLE_VAULT_SECRET_ID:?}"
: "${DB_PASSWORD:?}" "${REDIS_PASSWORD:?}" "${JWT_SECRET:?}" "${GRPC_CREDENTIALS:?}"
: "${XENDIT_SECRET_API_KEY:?}" "${XENDIT_WEBHOOK_TOKEN:?}"

folder=$(dirname "$0")
umask 077
secrets=$(mktemp -d)
trap 'rm -rf "$secrets"' EXIT

keep() {
  printf '%s' "$2" > "$secrets/$1"
}

allow() {
  role="auth/approle/role/$1"
  sed "s/SERVICE/$1/" "$folder/policy.hcl" | vault policy write "$1" -
  # Services renew their tokens, every VAULT_WATCH_INTERVAL_S.
  vault write "$role" token_policies="$1" token_ttl=1h
  vault write "$role/role-id" role_id="$1"
  keep secret_id "$2"
  vault write "$role/custom-secret-id" "secret_id=@$secrets/secret_id" > /dev/null 2>&1 || {
    # It is there already, and can't be written over.
    vault write "$role/secret-id/destroy" "secret_id=@$secrets/secret_id"
    vault write "$role/custom-secret-id" "secret_id=@$secrets/secret_id" > /dev/null
  }
}

store() {
  service=$1
  shift
  vault kv put -mount=secret "$service" "$@" \
    "redis.password=@$secrets/redis" \
    "jwt_secret=@$secrets/jwt" \
    "grpc_credentials=@$secrets/grpc" > /dev/null
}

vault auth list | grep -q '^approle/' || vault auth enable approle
allow userfc "$USERFC_VAULT_SECRET_ID"
allow productfc "$PRODUCTFC_VAULT_SECRET_ID"
allow orderfc "$ORDERFC_VAULT_SECRET_ID"
allow paymentfc "$PAYMENTFC_VAULT_SECRET_ID"
allow console "$CONSOLE_VAULT_SECRET_ID"

keep database "$DB_PASSWORD"
keep redis "$REDIS_PASSWORD"
keep jwt "$JWT_SECRET"
keep grpc "$GRPC_CREDENTIALS"
keep xendit_key "$XENDIT_SECRET_API_KEY"
keep xendit_token "$XENDIT_WEBHOOK_TOKEN"
store userfc "database.password=@$secrets/database"
store productfc "database.password=@$secrets/database"
store orderfc "database.password=@$secrets/database"
store console
# Compose takes Vault for filled when this one is there.
store paymentfc \
  "database.password=@$secrets/database" \
  "xendit.secret_api_key=@$secrets/xendit_key" \
  "xendit.webhook_token=@$secrets/xendit_token"
