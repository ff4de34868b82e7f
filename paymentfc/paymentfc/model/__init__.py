"""The payment, the gateway's callbacks and invoices, and the decisions about them. Pure: no I/O."""
