"""The neighbours that orderfc calls."""
