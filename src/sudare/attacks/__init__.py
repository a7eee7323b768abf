"""What an adversary does to a release."""
