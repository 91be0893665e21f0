"""What is known about the published data sets: file names, folders, sizes, where to get them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

CAPTIONS_PER_IMAGE = 5
"""Captions of an image that count. COCO gives some six or seven; benchmarks take the first five."""

SPLITS = ("train", "restval", "val", "test")
"""Karpathy's. Training on COCO takes "train" and "restval" together; a benchmark takes "test"."""


@dataclass(frozen=True)
class Preset:
    """One published set of images with captions.

    Attributes:
        title: its name in messages.
        captions_files: where its captions usually lie in the data folder; {split} is filled in.
        image_folders: where its images usually lie in the data folder; "" is that folder itself.
        test_images: how many images Karpathy's test split has.
        released_images: a corruption's folder, with {corruption} and {severity} to fill in.
        released_captions: the file of corrupted captions in a corruption's folder.
        page: where to get it.
        licence: the terms under which it may be used.
    """

    title: str
    captions_files: tuple[str, ...]
    image_folders: tuple[str, ...]
    test_images: int
    released_images: str
    released_captions: str
    page: str
    licence: str


COCO = "coco"
FLICKR30K = "flickr30k"

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        COCO: Preset(
            title="COCO",
            captions_files=(
                "dataset_coco.json",
                "karpathy/dataset_coco.json",
                "annotations/dataset_coco.json",
                "coco_karpathy_{split}.json",
                "annotations/coco_karpathy_{split}.json",
                "annotation/coco_karpathy_{split}.json",
            ),
            image_folders=("", "images", "val2014", "images/val2014", "coco-images-test"),
            test_images=5000,
            released_images="COCO_IP_{corruption}_{severity}",
            released_captions="coco_karpathy_test.json",
            page=(
                "images: https://cocodataset.org/#download (2014 Val images; for the training "
                "splits 2014 Train images too); captions: dataset_coco.json of "
                "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip, or "
                "coco_karpathy_test.json of https://github.com/salesforce/BLIP"
            ),
            licence=(
                "annotations CC BY 4.0 (COCO Consortium); images under the terms of use of Flickr"
            ),
        ),
        FLICKR30K: Preset(
            title="Flickr30K",
            captions_files=(
                "dataset_flickr30k.json",
                "karpathy/dataset_flickr30k.json",
                "annotations/dataset_flickr30k.json",
                "flickr30k_{split}.json",
                "annotations/flickr30k_{split}.json",
                "annotation/flickr30k_{split}.json",
            ),
            image_folders=(
                "",
                "flickr30k-images",
                "flickr30k_images",
                "images",
                "Images",
                "flickr30k-images-test",
            ),
            test_images=1000,
            released_images="Flickr30K_IP_{corruption}_{severity}",
            released_captions="flickr30k_test.json",
            page=(
                "images: https://shannon.cs.illinois.edu/DenotationGraph/ (a form to fill in); "
                "captions: dataset_flickr30k.json of "
                "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip, or "
                "flickr30k_test.json of https://github.com/salesforce/BLIP"
            ),
            licence=(
                "for research and education, as the form for the images says; images under the "
                "terms of use of Flickr"
            ),
        ),
    }
)

RELEASED_PAGE = (
    "https://github.com/Jielin-Qiu/MM_Robustness (the code that makes them) and "
    "https://hbinli.github.io/TCR/ (COCO-C and Flickr-C to download)"
)
"""Where the corrupted images and captions were published."""

CAPTION_FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "ocr": "annotation_OcrAug",
        "keyboard": "annotation_KeyboardAug",
        "insert": "annotation_RandomCharAug_insert",
        "replace": "annotation_RandomCharAug_substitute",
        "swap": "annotation_RandomCharAug_swap",
        "delete": "annotation_RandomCharAug_delete",
        "synonym_replacement": "annotation_sr",
        "word_insertion": "annotation_ri",
        "word_swap": "annotation_rs",
        "word_deletion": "annotation_rd",
        "punctuation_insertion": "annotation_ip",
        "formal": "annotation_formal",
        "casual": "annotation_casual",
        "passive": "annotation_passive",
        "active": "annotation_active",
        "back_translation": "annotation_back_trans",
    }
)
"""Our name of a text corruption -> its published folder, in which each severity has a folder."""

HIGHEST_SEVERITY = 7
"""Of any published corruption; characters have 1 to 7, words 6 and 7, sentences 1, images to 5."""
