"""The baseline for every synthetic set: a few of the real images themselves."""
