"""The invoice as a PDF, drawn in memory."""
