"""The order service: checkout, order history and order status."""
