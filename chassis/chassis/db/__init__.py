"""PostgreSQL: transactions, migrations, outbox and inbox."""
