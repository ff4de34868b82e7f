"""One business action per file: the transaction's border, the order of steps, the calls outside of it."""
