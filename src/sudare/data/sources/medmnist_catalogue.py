"""The two-dimensional collections of MedMNIST v2: classes, licences, published checksums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["MEDMNIST", "MedMnist"]


@dataclass(frozen=True, kw_only=True)
class MedMnist:
    """One collection of MedMNIST, at its 28 px size.

    Attributes:
        what: What the images show.
        md5: Checksum that MedMNIST 3.0 publishes for the file.
        class_names: One name per class.
        licence: Licence in words.
    """

    what: str
    md5: str
    class_names: tuple[str, ...]
    licence: str = "CC BY 4.0"


_ORGANS = (
    "bladder",
    "femur-left",
    "femur-right",
    "heart",
    "kidney-left",
    "kidney-right",
    "liver",
    "lung-left",
    "lung-right",
    "pancreas",
    "spleen",
)

MEDMNIST: Mapping[str, MedMnist] = {
    "pathmnist": MedMnist(
        md5="a8b06965200029087d5bd730944a56c1",
        what="colon tissue under the microscope; 107,180 images, 28 px, RGB",
        class_names=(
            "adipose",
            "background",
            "debris",
            "lymphocytes",
            "mucus",
            "smooth muscle",
            "normal colon mucosa",
            "cancer-associated stroma",
            "colorectal adenocarcinoma epithelium",
        ),
    ),
    "chestmnist": MedMnist(
        md5="02c8a6516a18b556561a56cbdd36c4a8",
        what="chest X-rays, 14 findings, several per image; 112,120 images, 28 px, grey",
        class_names=(
            "atelectasis",
            "cardiomegaly",
            "effusion",
            "infiltration",
            "mass",
            "nodule",
            "pneumonia",
            "pneumothorax",
            "consolidation",
            "edema",
            "emphysema",
            "fibrosis",
            "pleural",
            "hernia",
        ),
    ),
    "dermamnist": MedMnist(
        md5="0744692d530f8e62ec473284d019b0c7",
        what="skin lesions; 10,015 images, 28 px, RGB",
        class_names=(
            "actinic keratoses and intraepithelial carcinoma",
            "basal cell carcinoma",
            "benign keratosis-like lesions",
            "dermatofibroma",
            "melanoma",
            "melanocytic nevi",
            "vascular lesions",
        ),
        licence="CC BY-NC 4.0",
    ),
    "octmnist": MedMnist(
        md5="c68d92d5b585d8d81f7112f81e2d0842",
        what="retinal OCT scans; 109,309 images, 28 px, grey",
        class_names=(
            "choroidal neovascularization",
            "diabetic macular edema",
            "drusen",
            "normal",
        ),
    ),
    "pneumoniamnist": MedMnist(
        md5="28209eda62fecd6e6a2d98b1501bb15f",
        what="paediatric chest X-rays; 5,856 images, 28 px, grey",
        class_names=(
            "normal",
            "pneumonia",
        ),
    ),
    "retinamnist": MedMnist(
        md5="bd4c0672f1bba3e3a89f0e4e876791e4",
        what="fundus photographs, graded 0 to 4; 1,600 images, 28 px, RGB",
        class_names=(
            "0",
            "1",
            "2",
            "3",
            "4",
        ),
    ),
    "breastmnist": MedMnist(
        md5="750601b1f35ba3300ea97c75c52ff8f6",
        what="breast ultrasound; 780 images, 28 px, grey",
        class_names=(
            "malignant",
            "normal, benign",
        ),
    ),
    "bloodmnist": MedMnist(
        md5="7053d0359d879ad8a5505303e11de1dc",
        what="blood cells; 17,092 images, 28 px, RGB",
        class_names=(
            "basophil",
            "eosinophil",
            "erythroblast",
            "immature granulocytes (myelocytes, metamyelocytes and promyelocytes)",
            "lymphocyte",
            "monocyte",
            "neutrophil",
            "platelet",
        ),
    ),
    "tissuemnist": MedMnist(
        md5="ebe78ee8b05294063de985d821c1c34b",
        what="kidney cortex cells; 236,386 images, 28 px, grey",
        class_names=(
            "Collecting Duct, Connecting Tubule",
            "Distal Convoluted Tubule",
            "Glomerular endothelial cells",
            "Interstitial endothelial cells",
            "Leukocytes",
            "Podocytes",
            "Proximal Tubule Segments",
            "Thick Ascending Limb",
        ),
    ),
    "organamnist": MedMnist(
        md5="68e3f8846a6bd62f0c9bf841c0d9eacc",
        what="abdominal CT, axial; 58,830 images, 28 px, grey",
        class_names=_ORGANS,
    ),
    "organcmnist": MedMnist(
        md5="b9ceb9546e10131b32923c5bbeaea2b1",
        what="abdominal CT, coronal; 23,583 images, 28 px, grey",
        class_names=_ORGANS,
    ),
    "organsmnist": MedMnist(
        md5="9ab87b696fb54e2a387ebe992d6ed5f1",
        what="abdominal CT, sagittal; 25,211 images, 28 px, grey",
        class_names=_ORGANS,
    ),
}
"""Name to what MedMNIST says about it."""
