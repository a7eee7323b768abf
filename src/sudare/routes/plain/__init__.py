"""The baseline: a classifier, trained as anybody would."""
