"""Fusion against a loop in NumPy, its gradients, and its edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from reex_jax.gsr.features import FusionFeatures
from reex_jax.gsr.fusion import FUSIONS, normalised_entropy
from reex_jax.settings.choices import FUSION_NAMES
from reex_jax.settings.repair import FusionSettings

B, N, D, TEMPERATURE = 6, 11, 8, 0.07
SETTINGS = FusionSettings()


def unit(rng: np.random.Generator, rows: int) -> np.ndarray:
    vectors = rng.normal(size=(rows, D))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def example(seed: int = 0) -> tuple:
    rng = np.random.default_rng(seed)
    features = FusionFeatures(
        oov=np.float32([0, 0.05, 0.3, 0.5, 1, 0.3]),
        lost=np.float32([0, 0, 0.2, 0, 0, 0]),
        edit=np.float32([0.3, 0.1, 0.1, 0.4, 0.1, 0]),
        generation=np.float32([1, 0.5, 0.9, 1, 0.7, 0]),
    )
    rows = unit(rng, B), unit(rng, B), features, unit(rng, N), np.float32(TEMPERATURE)
    return jax.tree.map(jnp.asarray, rows)


def naive_entropy(query: np.ndarray, gallery: np.ndarray) -> float:
    p = np.exp(np.float64(gallery) @ np.float64(query) / TEMPERATURE)
    p /= p.sum()
    return float(-(p * np.log(p)).sum() / np.log(len(gallery)))


def naive_weight(name: str, row: int, original, repaired, features, gallery, s) -> float:
    if name != "dynamic":
        return {"original": 0.0, "replace": 1.0, "fixed": s.w_fixed}[name]
    oov, lost, edit, generation = (float(part[row]) for part in features)
    excess = max(0.0, edit - s.edit_per_oov * oov)
    gain = naive_entropy(original[row], gallery) - naive_entropy(repaired[row], gallery)
    surer = min(2 / (1 + np.exp(-s.entropy_rate * gain)), 1 / s.w_max)
    damaged = min(oov / s.oov_scale, 1.0)
    keeps = np.exp(-s.lost_rate * lost - s.edit_rate * excess)
    return s.w_max * damaged * keeps * surer * generation**s.generation_power


@pytest.mark.parametrize("name", FUSION_NAMES)
@pytest.mark.parametrize("settings", [SETTINGS, FusionSettings(0.3, 0.6, 0.2, 5, 3, 0.1, 9, 1)])
def test_against_a_loop(name, settings):
    original, repaired, features, gallery, temperature = example()
    fuse = jax.jit(FUSIONS[name], static_argnums=5)
    fused, weight = fuse(original, repaired, features, gallery, temperature, settings)
    assert fused.shape == (B, D) and weight.shape == (B,)
    assert fused.dtype == weight.dtype == jnp.float32
    for row in range(B):
        w = naive_weight(name, row, original, repaired, features, gallery, settings)
        mixed = (1 - w) * np.float64(original[row]) + w * np.float64(repaired[row])
        np.testing.assert_allclose(weight[row], w, rtol=2e-5, atol=1e-7)
        np.testing.assert_allclose(fused[row], mixed / np.linalg.norm(mixed), atol=2e-6)


def test_every_name_has_a_rule():
    assert set(FUSIONS) == set(FUSION_NAMES)


def test_a_clean_query_and_a_refused_reply_keep_the_original():
    original, repaired, features, gallery, temperature = example()
    fused, weight = FUSIONS["dynamic"](original, repaired, features, gallery, temperature, SETTINGS)
    assert weight[0] == 0 and weight[5] == 0  # nothing unknown; confidence 0
    np.testing.assert_allclose(fused[0], original[0], atol=1e-6)
    assert np.all(weight <= 1) and np.all(weight >= 0)


def test_more_loss_less_weight():
    original, repaired, features, gallery, temperature = example()
    weights = [
        FUSIONS["dynamic"](
            original,
            repaired,
            features._replace(lost=jnp.full(B, lost, jnp.float32)),
            gallery,
            temperature,
            SETTINGS,
        )[1][4]
        for lost in (0, 0.1, 0.5)
    ]
    assert weights[0] > weights[1] > weights[2]


def test_rows_do_not_depend_on_each_other():
    original, repaired, features, gallery, temperature = example()
    whole = FUSIONS["dynamic"](original, repaired, features, gallery, temperature, SETTINGS)
    # Padding rows, even broken ones, change no other row.
    broken = original.at[3:].set(jnp.nan)
    part = FUSIONS["dynamic"](broken, repaired, features, gallery, temperature, SETTINGS)
    np.testing.assert_array_equal(whole[0][:3], part[0][:3])
    np.testing.assert_array_equal(whole[1][:3], part[1][:3])


@pytest.mark.parametrize("name", FUSION_NAMES)
def test_gradients_flow_through_the_embeddings_only(name):
    """Up to what changes an embedding's length, which the encoder holds at 1."""
    original, repaired, features, gallery, temperature = example()
    _, weight = FUSIONS[name](original, repaired, features, gallery, temperature, SETTINGS)
    target = jnp.asarray(np.random.default_rng(1).normal(size=(B, D)), jnp.float32)

    def loss(a, b):
        a, b = (x / jnp.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
        fused, _ = FUSIONS[name](a, b, features, gallery, temperature, SETTINGS)
        return jnp.sum(fused * target)

    def constant_weight(a, b):
        w = weight[:, None]
        a, b = (x / jnp.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
        mixed = (1 - w) * a + w * b
        return jnp.sum(mixed / jnp.linalg.norm(mixed, axis=1, keepdims=True) * target)

    found = jax.grad(loss, argnums=(0, 1))(original, repaired)
    expected = jax.grad(constant_weight, argnums=(0, 1))(original, repaired)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)
    check_grads(constant_weight, (original, repaired), order=1, modes=["rev"], atol=2e-2, rtol=2e-2)


def test_opposite_embeddings_have_finite_values_and_gradients():
    original, _, features, gallery, temperature = example()

    def loss(a):
        return jnp.sum(FUSIONS["fixed"](a, -original, features, gallery, temperature, SETTINGS)[0])

    assert np.all(np.isfinite(jax.grad(loss)(original)))
    zero = jnp.zeros_like(original)
    fused, _ = FUSIONS["dynamic"](zero, zero, features, gallery, temperature, SETTINGS)
    assert np.all(fused == 0)


def test_entropy_lies_between_one_item_and_all_alike():
    gallery, one = jnp.eye(D), jnp.float32(1)
    sure = normalised_entropy(gallery[:1], gallery, jnp.float32(1e-3))
    alike = normalised_entropy(jnp.full((1, D), D**-0.5), gallery, one)
    np.testing.assert_allclose([sure[0], alike[0]], [0, 1], atol=1e-6)
    assert normalised_entropy(gallery[:1], gallery[:1], one)[0] == 0  # a gallery of one item
