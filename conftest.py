"""Imports the packages before collection: their folders have their names, and pytest would take those instead."""

import chassis
import fc
import orderfc
import paymentfc
import productfc
import servers
import testkit
import userfc
import xendit_sim

__all__ = ["chassis", "fc", "orderfc", "paymentfc", "productfc", "servers", "testkit", "userfc", "xendit_sim"]
