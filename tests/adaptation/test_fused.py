"""Queries fused with their repairs inside the update step, against fusion by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import reex_jax.adaptation.adapter as adapter_module
from reex_jax import Adapter, RepairedQueries, load_clip
from reex_jax.adaptation.encoder import Constants, query_encoder
from reex_jax.adaptation.fused import FusedTexts, FusionRule, fused_encoder
from reex_jax.errors import UserError
from reex_jax.gsr.features import FusionFeatures
from reex_jax.gsr.fusion import FUSIONS
from reex_jax.settings.gallery import GallerySettings
from reex_jax.settings.repair import FusionSettings

SETTINGS = FusionSettings(entropy_rate=8.0)
TENT = {"method": "tent", "relative_temperature": 1.4}  # compiles fastest of those that learn


def draw_features(count: int) -> FusionFeatures:
    rng = np.random.default_rng(4)
    oov, lost, edit, generation = rng.uniform(size=(4, count)).astype(np.float32)
    return FusionFeatures(oov, 0.05 * lost, 0.2 * edit, generation)


def rows_of(queries: FusedTexts, rows: slice) -> FusedTexts:
    return jax.tree.map(lambda array: array[rows], queries)


@pytest.fixture(scope="module")
def queries(golden):
    """37 token rows, each with another, shorter one as its repair."""
    tokens = golden["tokens"].astype(np.int32)
    short = tokens[(tokens[:, :13] == 255).any(axis=1), :13]
    return FusedTexts(tokens[:37], short[::-1][:37], draw_features(37))


@pytest.fixture(scope="module")
def make(tiny, golden):
    def adapter(fusion="dynamic", **changes):
        rule = {"fusion": fusion, "fusion_settings": SETTINGS} if fusion else {}
        settings = {"query": "text", "batch_size": 16, "steps": 1} | changes
        if settings.get("method") != "none":
            settings = {"learning_rate": 1e-2} | settings
        return Adapter(tiny, golden["image_embeds"], **rule, **settings)

    return adapter


def by_hand(tiny, golden, queries, name):
    return FUSIONS[name](
        jnp.asarray(tiny.encode_tokens(queries.ids)),
        jnp.asarray(tiny.encode_tokens(queries.repair_ids)),
        queries.features,
        jnp.asarray(golden["image_embeds"]),
        jnp.float32(tiny.temperature),
        SETTINGS,
    )


@pytest.mark.parametrize("name", FUSIONS)
def test_the_unadapted_fused_query_is_that_of_fusion_by_hand(make, tiny, golden, queries, name):
    some = rows_of(queries, slice(5))
    found, _ = make(name, method="none").adapt(some)
    wanted, weight = by_hand(tiny, golden, some, name)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    if name == "dynamic":  # all of the rule takes part
        assert 0.02 < weight.min() < 0.2 and 0.5 < weight.max() < 1


def test_gradients_flow_through_both_texts(tiny, golden, queries):
    """The Jacobian of the encoder is (1 - w) of one text's and w of the other's, made unit."""
    plain = query_encoder(tiny, "text", "layer_norms")
    fused = fused_encoder(plain, FusionRule("fixed", FusionSettings(w_fixed=0.3)))
    gallery = jnp.asarray(golden["image_embeds"])
    rest = gallery, jnp.float32(tiny.temperature), jnp.float32(1)
    constants = Constants(plain.frozen, plain.parameters, *rest)
    some = jax.tree.map(jnp.asarray, rows_of(queries, slice(3)))
    pull = gallery[:3]

    def along(embedding):
        return (embedding * pull).sum()

    def parts(parameters, other):
        a = plain.embed(parameters, constants, some.ids)
        b = plain.embed(other, constants, some.repair_ids)
        mixed = 0.7 * a + 0.3 * b
        return along(mixed / jnp.linalg.norm(mixed, axis=1, keepdims=True))

    source = plain.parameters
    of_original, of_repair = jax.grad(parts, argnums=(0, 1))(source, source)
    found = jax.grad(lambda p: along(fused.embed(p, constants, some)))(source)
    for a, b, both in zip(*map(jax.tree.leaves, (of_original, of_repair, found)), strict=True):
        assert np.abs(a).max() > 1e-4 and np.abs(b).max() > 1e-4
        np.testing.assert_allclose(both, a + b, atol=1e-5)


def test_both_texts_shuffle_inside(tiny, queries):
    plain = query_encoder(tiny, "text", "layer_norms")
    fused = fused_encoder(plain, FusionRule("dynamic", SETTINGS))
    keys = jax.random.split(jax.random.key(0), 4)
    some = jax.tree.map(jnp.asarray, rows_of(queries, slice(4)))
    moved = fused.shuffle(some, keys)
    for now, was in ((moved.ids, some.ids), (moved.repair_ids, some.repair_ids)):
        np.testing.assert_array_equal(now, plain.shuffle(was, keys))
        assert (now != was).any()
    assert moved.features is some.features


@pytest.mark.parametrize("method", ["reex", "deyo"])
def test_fusion_that_keeps_the_original_adapts_as_without(make, queries, method):
    own = (
        {"relative_temperature": 1.4, "entropy_share": 1.0, "drop_above": 0.0}
        if method == "deyo"
        else {}
    )
    plain, fused = make("", method=method, **own), make("original", method=method, **own)
    for rows in (slice(16), slice(16, 32), slice(32, 37)):
        wanted = plain.similarities(queries.ids[rows])
        np.testing.assert_array_equal(fused.similarities(rows_of(queries, rows)), wanted)
    for a, b in zip(jax.tree.leaves(plain.state), jax.tree.leaves(fused.state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_padding_and_devices_change_nothing(make, queries, golden, tiny, monkeypatch):
    scores = []
    for rows, devices in ((16, 1), (64, 8)):
        monkeypatch.setattr(adapter_module, "padded_rows", lambda *_, rows=rows: rows)
        adapter = make(devices=devices, batch_size=64, learning_rate=1e-3, **TENT)
        batches = [rows_of(queries, rows) for rows in (slice(16), slice(16, 32), slice(32, 37))]
        scores.append(np.concatenate([adapter.similarities(batch) for batch in batches]))
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-5, atol=1e-5)
    source = by_hand(tiny, golden, queries, "dynamic")[0] @ golden["image_embeds"].T
    assert np.abs(scores[0] - source).max() > 1e-4


def test_a_split_gallery_changes_nothing(make, queries):
    some, split = rows_of(queries, slice(16)), GallerySettings(layout="split")
    one, two = make(method="none"), make(method="none", devices=2, gallery_settings=split)
    np.testing.assert_allclose(two.similarities(some), one.similarities(some), atol=1e-6)


def test_strings_and_token_ids_agree():
    clip = load_clip(precision="float32")
    texts = ["a rde circel", "a square above a large green ring", "two bleu rings"]
    repairs = ("a red circle", *texts[1:2], "two blue rings")
    features = draw_features(3)
    gallery = clip.encode_texts(["a red square", "three green rings"])
    adapter = Adapter(clip, gallery, query="text", method="none", fusion="replace", batch_size=4)
    strings = RepairedQueries(texts, repairs, features)
    ids = FusedTexts(clip.tokens_of(texts), clip.tokens_of(repairs), features)
    np.testing.assert_allclose(adapter.adapt(strings)[0], clip.encode_texts(repairs), atol=1e-5)
    np.testing.assert_array_equal(adapter.adapt(ids)[0], adapter.adapt(strings)[0])
    generators = RepairedQueries(iter(texts), iter(repairs), features)
    assert adapter.search(generators, k=2).indices.shape == (3, 2)
    with pytest.raises(UserError, match="caption 1 is empty"):
        adapter.adapt(RepairedQueries(texts, ["a", " ", "b"], features))


def test_a_saved_adapter_remembers_its_fusion(make, queries, tmp_path):
    one, again = make(**TENT), make(**TENT)
    one.adapt(rows_of(queries, slice(16)))
    one.save(tmp_path)
    again.restore(tmp_path)
    rest = rows_of(queries, slice(16, 32))
    np.testing.assert_array_equal(one.similarities(rest), again.similarities(rest))
    with pytest.raises(UserError, match="with fusion name 'dynamic', but this adapter has 'fixed'"):
        make("fixed", **TENT).restore(tmp_path)
    with pytest.raises(UserError, match="but this adapter has None; make an Adapter like the sav"):
        make("", **TENT).restore(tmp_path)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"fusion": "dynamik"}, r"unknown value of fusion: 'dynamik'; did you mean 'dynamic'"),
        ({"fusion": "fixed", "query": "image"}, r"fusion 'fixed' needs text queries, but query is"),
        ({"fusion_settings": SETTINGS}, r"fusion_settings are given without fusion; name a rule"),
        ({"fusion": "fixed", "fusion_settings": {}}, r"must be FusionSettings, not \{\}"),
    ],
)
def test_impossible_fusions_are_refused(tiny, golden, changes, message):
    with pytest.raises(UserError, match=message):
        Adapter(tiny, golden["image_embeds"], **{"query": "text"} | changes)


def test_impossible_batches_are_refused_before_anything_adapts(make, queries):
    plain, fused = make(""), make()
    some = rows_of(queries, slice(3))
    f = some.features
    for adapter, given, message in (
        (plain, some, r"queries are FusedTexts, but this adapter has no fusion; make it with"),
        (plain, RepairedQueries(["a"], ["a"], f), r"queries are RepairedQueries, but this adapter"),
        (fused, some.ids, r"give RepairedQueries\(texts, repairs, features\), not one ndarray"),
        (fused, ["a red circle"], r"this adapter fuses queries with their repairs; .* one list"),
        (fused, some._replace(repair_ids=some.repair_ids[:2]), r"3 queries with 2 repairs; give"),
        (fused, some._replace(repair_ids=some.ids + 250), r"token ids of text 0 range from"),
        (fused, some._replace(features=None), r"features must be FusionFeatures, .* not None"),
        (
            fused,
            some._replace(features=f._replace(lost=f.lost[:2])),
            r"feature lost is float32 of shape \[2\], but must be float32 \[3\], a number for each",
        ),
        (
            fused,
            some._replace(features=f._replace(edit=np.float32([0, np.nan, 2]))),
            r"feature edit of query 1 is nan; it must lie in 0\.\.1",
        ),
        (fused, rows_of(queries, slice(17)), r"a batch of 17 queries; give 1 to batch_size = 16"),
        (fused, rows_of(queries, slice(0)), r"a batch of 0 queries; give 1 to batch_size = 16"),
    ):
        with pytest.raises(UserError, match=message):
            adapter.search(given, k=3)
        assert adapter.state.batches == 0
