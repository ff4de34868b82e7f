# What a service may do in Vault: read its own secrets, nothing else. seed.sh puts the service's name in.
path "secret/data/SERVICE" {
  capabilities = ["read"]
}
