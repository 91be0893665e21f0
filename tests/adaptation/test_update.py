"""The update step's rules, with objectives made to show them, around a toy encoder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.adaptation.objective import Loss, Objective


def pull(batch):
    """A loss with gradients everywhere: towards the first gallery item."""
    return -jnp.where(batch.mask, batch.similarities[:, 0], 0.0).sum() / batch.count.astype(
        jnp.float32
    )


def count_losses(start):
    del start
    return jnp.int32(0)


def same(one, other):
    return all(
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


def step_of_adamw(parameter, gradient, first, second, count, rate, decay):
    """Loshchilov and Hutter, 2019, in float64, as PyTorch's AdamW has it."""
    first = 0.9 * first + 0.1 * gradient
    second = 0.999 * second + 0.001 * gradient**2
    change = (first / (1 - 0.9**count)) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
    return parameter - rate * decay * parameter - rate * change, first, second


def test_parameters_follow_adamw(toy_stream, toy_queries):
    stream = toy_stream(
        Objective(lambda batch, state: Loss(pull(batch), state)),
        steps=2,
        weight_decay=0.1,
        learning_rate=0.05,
    )
    start = stream.state.parameters
    encoder, gallery = stream.encoder, np.asarray(stream.constants.gallery, np.float64)
    queries = toy_queries(3, 8)

    def loss(parameters):
        return -(
            encoder.embed(parameters, stream.constants, queries) @ gallery[0].astype("f4")
        ).mean()

    parameters, moments = start, {name: (0.0, 0.0) for name in start}
    for count in (1, 2):
        gradients = jax.grad(loss)(jax.tree.map(jnp.asarray, parameters))
        for name in start:
            moved = step_of_adamw(
                np.asarray(parameters[name], np.float64),
                np.asarray(gradients[name], np.float64),
                *moments[name],
                count,
                0.05,
                0.1,
            )
            parameters = parameters | {name: moved[0].astype(np.float32)}
            moments[name] = moved[1:]
    stream(queries)
    for name in start:
        np.testing.assert_allclose(stream.state.parameters[name], parameters[name], rtol=1e-4)


def breaking(broken, when):
    """An objective whose loss or gradient is not finite in the steps where `when` says so."""

    def loss(batch, state):
        now = when(batch)
        value = {
            "nan loss": jnp.where(now, jnp.nan, pull(batch)),
            "infinite loss": jnp.where(now, jnp.inf, pull(batch)),
            # Finite itself, but the slope of a root at 0 is infinite.
            "nan gradient": pull(batch) + jnp.sqrt(jnp.where(now, 0.0, 1.0) * pull(batch) ** 2),
        }[broken]
        return Loss(value, state + 1, confident=0.25)

    return Objective(loss, count_losses)


@pytest.mark.parametrize("broken", ["nan loss", "infinite loss", "nan gradient"])
def test_what_is_not_finite_is_skipped_and_counted(broken, toy_stream, toy_queries):
    """A step that is left out moves nothing, nor the objective's memory."""

    def first_of_second(batch):
        return (batch.index == 1) & (batch.step == 0)

    def loss(batch, state):
        still = first_of_second(batch)
        value = pull(batch) + (jnp.abs(pull(batch)) if broken == "nan gradient" else 0.0)
        return Loss(value, jnp.where(still, state, state + 1), moves=~still)

    stream = toy_stream(breaking(broken, first_of_second), steps=2)
    still = toy_stream(Objective(loss, count_losses), steps=2)
    for seed, skipped in ((1, 0), (2, 1), (3, 0)):
        embeddings, diagnostics = stream(toy_queries(seed, 8))
        wanted, _ = still(toy_queries(seed, 8))
        np.testing.assert_allclose(embeddings, wanted, atol=1e-6)
        assert (diagnostics.skipped, diagnostics.restored) == (skipped, 0)
        assert np.isfinite(diagnostics.loss)
    after, expected = stream.state, still.state
    for a, b in zip(jax.tree.leaves(after[:2]), jax.tree.leaves(expected[:2]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert (after.batches, after.skipped, after.restored, after.objective) == (3, 1, 0, 5)


@pytest.mark.parametrize("broken", ["nan loss", "nan gradient"])
def test_a_batch_without_a_finite_update_puts_the_source_back(broken, toy_stream, toy_queries):
    stream = toy_stream(breaking(broken, lambda batch: batch.index == 1), steps=2)
    source = stream.state
    stream(toy_queries(1, 8))
    assert not same(stream.state[:2], source[:2])
    queries = toy_queries(2, 8)
    embeddings, diagnostics = stream(queries)
    assert (diagnostics.skipped, diagnostics.restored) == (2, 1)
    plain = stream.encoder.embed(stream.encoder.parameters, stream.constants, queries)
    np.testing.assert_allclose(embeddings, plain, atol=1e-6, err_msg="ranked by the source")
    after = stream.state
    assert same(after[:2], source[:2]) and after.objective == 2, "the memory stays"
    assert (after.batches, after.skipped, after.restored) == (2, 2, 1)
    _, diagnostics = stream(toy_queries(3, 8))
    assert (diagnostics.skipped, diagnostics.restored) == (0, 0)
    assert not same(stream.state.parameters, source.parameters), "it learns again"


def test_a_loss_may_keep_parameters_still_or_put_them_back(toy_stream, toy_queries):
    def loss(batch, state):
        return Loss(pull(batch), state + 1, moves=batch.index != 1, restore=batch.index == 2)

    stream = toy_stream(Objective(loss, count_losses), steps=1)
    source = stream.state
    stream(toy_queries(1, 8))
    moved = stream.state
    assert not same(moved.parameters, source.parameters)
    assert not same(moved.optimizer, source.optimizer)
    stream(toy_queries(2, 8))
    still = stream.state
    assert same(still[:2], moved[:2]) and still.objective == 2
    stream(toy_queries(3, 8))
    restored = stream.state
    assert same(restored[:2], source[:2])
    assert restored.objective == 3, "the memory stays"
    assert restored.skipped == 0


def test_a_loss_may_pull_parameters_back_to_the_source(toy_stream, toy_queries):
    def objective(decay):
        return Objective(lambda batch, state: Loss(pull(batch), state, decay=decay))

    free, pulled = toy_stream(objective(0.0), steps=1), toy_stream(objective(0.25), steps=1)
    source = free.state.parameters
    for stream in (free, pulled):
        stream(toy_queries(1, 8))
    first = {name: free.state.parameters[name] for name in source}
    assert same(pulled.state.parameters, first), "the source itself is not pulled"
    for stream in (free, pulled):
        stream(toy_queries(2, 8))
    back = pulled.state.parameters
    for name in source:
        expected = free.state.parameters[name] + 0.25 * (source[name] - first[name])
        np.testing.assert_allclose(back[name], expected, rtol=0, atol=1e-6)


def test_small_batches_take_small_steps_if_asked(toy_stream, toy_queries):
    objective = Objective(lambda batch, state: Loss(pull(batch), state))
    scaled = toy_stream(objective, steps=1, rate_batch=16, learning_rate=0.04)
    plain = toy_stream(objective, steps=1, learning_rate=0.04 * 6 / 16)
    for stream in (scaled, plain):
        stream(toy_queries(1, 6))  # 6 real queries in 8 rows
    for name, value in plain.state.parameters.items():
        np.testing.assert_allclose(scaled.state.parameters[name], value, rtol=1e-6)


def test_a_rate_that_ruined_the_model_is_a_tenth_from_then_on(toy_stream, toy_queries):
    """The second batch has no finite loss: the third starts from the source at a tenth."""

    def loss(batch, state):
        return Loss(pull(batch) * jnp.where(batch.index == 1, jnp.nan, 1.0), state)

    stream, queries = toy_stream(Objective(loss), steps=1), toy_queries(1, 8)
    source, moved = stream.state.parameters["scale"], []
    for _ in range(3):
        _, diagnostics = stream(queries)
        moved.append(stream.state.parameters["scale"] - source)
    assert diagnostics.restored == 0 and stream.state.restored == 1
    np.testing.assert_array_equal(moved[1], 0)
    np.testing.assert_allclose(moved[2], 0.1 * moved[0], rtol=1e-4, atol=1e-8)


def test_scores_are_of_the_forward_pass_they_name(toy_stream, toy_queries):
    queries = toy_queries(1, 8)
    by_hand = toy_stream("tent", steps=1, score="before")
    passes = [by_hand(queries)[0] for _ in range(4)]
    assert not np.allclose(passes[0], passes[3], atol=1e-3)
    for score, wanted in (("before", 0), ("last_forward", 2), ("after", 3)):
        stream = toy_stream("tent", steps=3, score=score)
        np.testing.assert_allclose(stream(queries)[0], passes[wanted], atol=1e-6, err_msg=score)


@pytest.mark.parametrize("method, steps", [("none", 3), ("tent", 0)])
def test_no_steps_give_the_plain_encoder(method, steps, toy_stream, toy_queries):
    stream, queries = toy_stream(method, steps=steps), toy_queries(1, 5)
    source, plain = stream.state, stream.encoder
    for _ in range(2):
        embeddings, diagnostics = stream(queries)
    np.testing.assert_allclose(
        embeddings, plain.embed(plain.parameters, stream.constants, queries), rtol=0, atol=1e-6
    )
    assert diagnostics == (0, 1, 0, 0)
    assert same(stream.state.parameters, source.parameters) and stream.state.batches == 2


def test_the_objective_is_told_where_it_is(toy_stream, toy_queries):
    """Memory collects (batch, step, key) of every loss, and the settings' seed changes the key."""

    def loss(batch, state):
        seen, draws, at = state
        seen = seen.at[at].set(jnp.stack([batch.index, batch.step, batch.count]))
        draws = draws.at[at].set(jax.random.uniform(batch.key))
        return Loss(pull(batch), (seen, draws, at + 1))

    def init(start):
        assert start.batch_size == 64 and start.gallery.shape == (30, 12)
        return jnp.zeros((4, 3), jnp.int32), jnp.zeros(4), jnp.int32(0)

    draws = []
    for seed in (0, 0, 1):
        stream = toy_stream(Objective(loss, init), steps=2, seed=seed)
        stream(toy_queries(1, 8)), stream(toy_queries(1, 5))
        seen, drawn, _ = stream.state.objective
        np.testing.assert_array_equal(seen, [[0, 0, 8], [0, 1, 8], [1, 0, 5], [1, 1, 5]])
        assert len(set(drawn.tolist())) == 4
        draws.append(drawn.tolist())
    assert draws[0] == draws[1] and not set(draws[0]) & set(draws[2])


def test_a_step_uses_up_the_state_it_is_given(toy_stream, toy_queries):
    stream = toy_stream("reex", steps=1)
    given = jax.tree.leaves(stream.live)
    stream(toy_queries(1, 8))
    assert all(array.is_deleted() for array in given)
    assert not any(array.is_deleted() for array in jax.tree.leaves(stream.replicated))


def test_one_program_serves_a_whole_stream_and_every_learning_rate(
    toy_stream, toy_queries, compilations
):
    stream = toy_stream("tent", steps=1, relative_temperature=2.0)
    start = stream.state.parameters["scale"]
    with compilations() as first:
        stream(toy_queries(1, 8))
    assert first, "the count must see what is compiled"
    moved = stream.state.parameters["scale"] - start
    with compilations() as later:
        for seed in (2, 3, 4):
            stream(toy_queries(seed, 8))
        stream.restart(learning_rate=5e-3)
        stream(toy_queries(1, 8))
    assert not later
    halved = stream.state.parameters["scale"] - start
    np.testing.assert_allclose(halved, moved / 2, rtol=1e-4)
