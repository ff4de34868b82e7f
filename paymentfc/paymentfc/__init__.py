"""Payments: invoices at Xendit, its webhooks, the audit log."""
