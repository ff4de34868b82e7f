"""All rules of the audit: importing the modules that hold them declares them."""

from fc.audit.rules import audit_chain, audit_log, events, money, order, payment, refunds, states, xendit
from fc.audit.rules.rule import RULES

MODULES = (order, states, payment, money, refunds, events, xendit, audit_log, audit_chain)

__all__ = ["RULES"]
