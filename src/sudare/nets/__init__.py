"""Architectures by name; weights are drawn here and nowhere else."""

from sudare.nets.registry import NETS, NetConfig, build

__all__ = ["NETS", "NetConfig", "build"]
