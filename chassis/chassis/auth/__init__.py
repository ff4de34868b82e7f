"""Who is asking: tokens, and the tokens that were revoked."""
