"""Evasion: small changes of an image that change a net's answer. One file an attack."""

from sudare.attacks.evasion.apgd import AutoPgd
from sudare.attacks.evasion.autoattack import AutoAttack, TargetedAutoPgd
from sudare.attacks.evasion.base import EvasionAttack, PixelNet
from sudare.attacks.evasion.carlini import CarliniWagner
from sudare.attacks.evasion.deepfool import DeepFool
from sudare.attacks.evasion.fab import Fab
from sudare.attacks.evasion.fgsm import Fgsm
from sudare.attacks.evasion.pgd import Pgd
from sudare.attacks.evasion.square import Square

__all__ = [
    "AutoAttack",
    "AutoPgd",
    "CarliniWagner",
    "DeepFool",
    "EvasionAttack",
    "Fab",
    "Fgsm",
    "Pgd",
    "PixelNet",
    "Square",
    "TargetedAutoPgd",
]
