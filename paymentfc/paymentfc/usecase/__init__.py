"""One business action per file: the border of the transaction, the order of steps, the calls outside it."""
