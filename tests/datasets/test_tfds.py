"""Sets written for TensorFlow Datasets and read back, and its own coco_captions."""

import importlib.util
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from reex_jax.datasets.folder import load_folder
from reex_jax.datasets.karpathy import load_karpathy
from reex_jax.datasets.scenes import load_scenes
from reex_jax.datasets.tfds_builder import RetrievalBuilder, write_tfds
from reex_jax.datasets.tfds_reader import load_tfds
from reex_jax.errors import UserError
from reex_jax.queries.pipeline import prepared_batches

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow_datasets")


def assert_equal(read, data):
    for field in ("name", "image_ids", "captions", "caption_ids", "licence"):
        assert getattr(read, field) == getattr(data, field)
    np.testing.assert_array_equal(read.caption_image, data.caption_image)
    assert len(read.images) == len(data.images)
    for position in range(len(data.images)):
        left, right = read.images[position], data.images[position]
        assert left.mode == right.mode
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


@pytest.fixture(scope="module")
def prepared(tiny_coco, tmp_path_factory):
    """The tiny COCO, its folder for TFDS, and the folder above. Tests leave it as it is."""
    data = load_karpathy(tiny_coco, preset="coco")
    out = tmp_path_factory.mktemp("tfds")
    return data, write_tfds(data, out, name="coco_test", split="test"), out


def test_what_is_read_is_what_was_written(prepared):
    data, folder, out = prepared
    assert folder == out / "coco_test" / "1.0.0"
    read = load_tfds(folder)
    assert_equal(read, data)
    assert read.source == f"{folder}, made from: {data.source}"
    assert_equal(load_tfds(out), data)  # the folder above holds no other set
    assert len(load_tfds(out, max_images=3).image_ids) == 3


def test_images_keep_their_bytes_and_tfds_reads_them_by_name(prepared):
    data, _, out = prepared
    skip = {"image": tfds.decode.SkipDecoding()}
    source = tfds.data_source("coco_test", split="test", data_dir=out, decoders=skip)
    assert [example["image_id"].decode() for example in source] == list(data.image_ids)
    for position in (0, 1):
        assert source[position]["image"] == data.images.paths[position].read_bytes()
    assert "tensorflow" not in sys.modules


def test_interleaved_captions_and_generated_images(tmp_path):
    """A folder whose captions do not stand image by image, a grey and a transparent image."""
    Image.new("L", (5, 7), 90).save(tmp_path / "grey.png")
    Image.new("RGBA", (9, 3), (1, 2, 3, 4)).save(tmp_path / "clear.png")
    rows = [("clear.png", "one"), ("grey.png", "zwei ü"), ("clear.png", "three")]
    lines = [json.dumps({"image": image, "caption": text}) for image, text in rows]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    data = load_folder(tmp_path).data
    assert data.caption_image.tolist() == [0, 1, 0]
    assert_equal(
        load_tfds(write_tfds(data, tmp_path / "out", name="own", split="val"), split="val"), data
    )
    scenes = load_scenes(3)
    assert_equal(
        load_tfds(write_tfds(scenes, tmp_path / "out", name="scenes", split="test")), scenes
    )


def test_the_order_stays_over_several_files(tmp_path):
    data = load_scenes(12)
    builder = RetrievalBuilder(data, "test", name="scenes", data_dir=str(tmp_path))
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=4))
    assert len(list(tmp_path.rglob("*array_record-*"))) == 4
    assert_equal(load_tfds(tmp_path), data)


def test_threads_read_at_once(prepared):
    data, folder, _ = prepared
    images = load_tfds(folder).images
    made = prepared_batches(
        range(20),
        lambda i: np.asarray(images[i].convert("RGB").resize((8, 8))),
        batch_size=7,
        workers=4,
    )
    rows = np.concatenate([batch.inputs[batch.mask] for batch in made])
    for row, position in zip(rows, range(20), strict=True):
        expected = data.images[position].convert("RGB").resize((8, 8))
        np.testing.assert_array_equal(row, np.asarray(expected))


def refusal(call, *arguments, **settings):
    with pytest.raises(UserError) as error:
        call(*arguments, **settings)
    return str(error.value)


def test_what_is_not_there_is_named(prepared, tmp_path):
    data, folder, out = prepared
    message = refusal(load_tfds, tmp_path / "gone")
    assert message.startswith(f"{tmp_path / 'gone'}: no such folder; if the data was moved, set ")
    assert message.endswith("to make it: python -m reex_jax prepare-data")
    message = refusal(load_tfds, tmp_path)
    assert message.startswith(f"{tmp_path}: no data of TensorFlow Datasets; looked for dataset_in")
    message = refusal(load_tfds, folder, split="val")
    assert message == f"{folder}: no split 'val'; it has test; set data.split"
    message = refusal(write_tfds, data, out, name="coco_test", split="test")
    assert message == f"{folder}: exists; remove it, or choose another out or name"
    for name in ("COCO", "coco-c", "1st", ""):
        message = refusal(write_tfds, data, tmp_path, name=name, split="test")
        assert message.startswith(f"name is {name!r}; TensorFlow Datasets takes small letters")
    write_tfds(load_scenes(2), tmp_path, name="a", split="test")
    write_tfds(load_scenes(2), tmp_path, name="b", split="test")
    message = refusal(load_tfds, tmp_path)
    assert message.endswith("holds several data sets; set data.root to one of a/1.0.0, b/1.0.0")


def test_damaged_files_are_named(tmp_path):
    folder = write_tfds(load_scenes(3), tmp_path, name="scenes", split="test")
    (file,) = folder.glob("*array_record*")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    message = refusal(load_tfds, folder)
    assert message.startswith(f"{folder}: damaged (")
    assert message.endswith("prepare it anew: python -m reex_jax prepare-data")


def coco_captions(root, file_format):
    """Six images as TFDS's own coco_captions stores them; odd ones have a sixth caption."""

    with tfds.core.registered.skip_registration():

        class CocoCaptions(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.1.0")
            BUILDER_CONFIGS = (tfds.core.BuilderConfig(name="2014"),)
            name = "coco_captions"
            code_path = None

            def _info(self):
                captions = {"id": np.int64, "text": tfds.features.Text()}
                objects = {"bbox": tfds.features.BBoxFeature(), "is_crowd": np.bool_}
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(
                        {
                            "image": tfds.features.Image(encoding_format="jpeg"),
                            "image/filename": tfds.features.Text(),
                            "image/id": np.int64,
                            "captions": tfds.features.Sequence(captions),
                            "objects": tfds.features.Sequence(objects),
                        }
                    ),
                )

            def _split_generators(self, dl_manager):
                return {"test": self._generate_examples()}

            def _generate_examples(self):
                for i in range(6):
                    content = io.BytesIO()
                    Image.new("RGB", (20 + i, 10), (40 * i, 0, 0)).save(content, "JPEG")
                    content.seek(0)
                    texts = [f"caption {i} {number}" for number in range(5 + i % 2)]
                    box = {"bbox": tfds.features.BBox(0.0, 0.0, 1.0, 1.0), "is_crowd": False}
                    yield (
                        i,
                        {
                            "image": content,
                            "image/filename": f"COCO_val2014_{i:012d}.jpg",
                            "image/id": i,
                            "captions": [{"id": n, "text": text} for n, text in enumerate(texts)],
                            "objects": [box],
                        },
                    )

    CocoCaptions(data_dir=str(root), file_format=file_format, config="2014").download_and_prepare()
    return root


def check_coco_captions(data):
    assert data.name == "coco"
    assert data.image_ids == tuple(f"COCO_val2014_{i:012d}.jpg" for i in range(6))
    assert data.captions == tuple(f"caption {i} {n}" for i in range(6) for n in range(5))
    assert data.caption_ids[6] == "COCO_val2014_000000000001.jpg#1"
    assert [image.size for image in (data.images[4], data.images[5])] == [(24, 10), (25, 10)]


def test_coco_captions_of_tfds(tmp_path):
    root = coco_captions(tmp_path, "array_record")
    check_coco_captions(load_tfds(root))
    assert load_tfds(root, max_images=2).captions[-1] == "caption 1 4"


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)
def test_coco_captions_of_tfds_in_its_usual_format(tmp_path):
    check_coco_captions(load_tfds(coco_captions(tmp_path, "tfrecord")))


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is installed"
)
def test_the_usual_format_needs_tensorflow(tmp_path):
    root = coco_captions(tmp_path, "array_record")
    info = root / "coco_captions" / "2014" / "1.1.0" / "dataset_info.json"
    info.write_text(re.sub(r'("fileFormat": )"array_record"', r'\1"tfrecord"', info.read_text()))
    assert refusal(load_tfds, root) == (
        f"{info.parent}: this format (tfrecord) needs TensorFlow, which is not installed: pip "
        "install tensorflow-cpu; or read Karpathy's files with data.name=karpathy"
    )


def test_another_kind_of_data_set(tmp_path):
    root = coco_captions(tmp_path, "array_record")
    features = root / "coco_captions" / "2014" / "1.1.0" / "features.json"
    features.write_text(features.read_text().replace('"captions"', '"labels"'))
    message = refusal(load_tfds, root)
    assert "not a set of images with captions that is known here (it has image, image/f" in message
