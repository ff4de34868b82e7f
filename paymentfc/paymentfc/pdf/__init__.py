"""The invoice as a PDF: what it says, the process that draws it, and what is kept of it."""
