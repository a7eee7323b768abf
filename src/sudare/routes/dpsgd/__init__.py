"""A classifier trained with DP-SGD."""
