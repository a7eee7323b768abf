"""Checks: families of attack or quality, each with its own view, budget, measuring and judging."""
