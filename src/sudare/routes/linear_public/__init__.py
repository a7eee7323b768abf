"""A linear head on features that no private image shaped."""
