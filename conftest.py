"""Imports the packages before collection: their folders have their names, and pytest would take those instead."""

import chassis  # noqa: F401
import fc  # noqa: F401
import orderfc  # noqa: F401
import paymentfc  # noqa: F401
import productfc  # noqa: F401
import userfc  # noqa: F401
import xendit_sim  # noqa: F401
