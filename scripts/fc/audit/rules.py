"""All rules of the audit: importing the modules that hold them declares them."""

from fc.audit import rules_audit, rules_events, rules_order, rules_payment, rules_state, rules_xendit
from fc.audit.rule import RULES

MODULES = (rules_order, rules_state, rules_payment, rules_events, rules_xendit, rules_audit)

__all__ = ["RULES"]
