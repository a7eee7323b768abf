"""Privacy accountants and the ledger."""

from sudare.accounting.accountants import calibrate_noise, epsilon_spent
from sudare.accounting.ledger import Ledger, LedgerEntry, composed_epsilon

__all__ = ["Ledger", "LedgerEntry", "calibrate_noise", "composed_epsilon", "epsilon_spent"]
