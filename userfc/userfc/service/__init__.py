"""The rules of userfc that need more than plain values: passwords, and whether a token still counts."""
