"""What an owner can do to its own data to be paid more."""

from sudare.attacks.payouts.payout_attacks import TRICKS, Tricked

__all__ = ["TRICKS", "Tricked"]
