"""All rules of the audit: importing the modules that hold them declares them."""

from fc.audit.rules import audit_log, events, order, payment, states, xendit
from fc.audit.rules.rule import RULES

MODULES = (order, states, payment, events, xendit, audit_log)

__all__ = ["RULES"]
