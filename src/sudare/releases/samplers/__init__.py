"""What a sampler release holds and how it draws features: one file a family."""

from sudare.releases.samplers.base import Sampler
from sudare.releases.samplers.decoder import DecoderSampler
from sudare.releases.samplers.gaussian import GaussianSampler
from sudare.releases.samplers.points import PointsSampler

__all__ = ["SAMPLERS", "DecoderSampler", "GaussianSampler", "PointsSampler", "Sampler"]

SAMPLERS: dict[str, type[Sampler]] = {
    family.family: family for family in (DecoderSampler, GaussianSampler, PointsSampler)
}
