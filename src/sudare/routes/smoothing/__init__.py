"""A classifier trained with positive or negative label smoothing."""
