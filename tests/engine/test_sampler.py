import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.dice import die
from engine.errors import CheckpointError, SettingsError
from engine.sampler import (
    KNOBS,
    LOOP_ALLOWED,
    LOOP_BASE,
    LOOP_LONGEST,
    LOOP_RANGE,
    NEUTRAL,
    Distribution,
    SamplerSettings,
    Stage,
    distribution,
    draw,
    loop_penalties,
)

INF = math.inf

# Few different values, so that ties are common, and a few extreme ones.
scores = st.one_of(
    st.integers(-4, 4).map(float),
    st.floats(-20, 20),
    st.sampled_from([-INF, -1e308, 0.0]),
)
logit_lists = st.lists(scores, min_size=1, max_size=12).filter(lambda xs: max(xs) > -INF)
knobs = st.builds(
    SamplerSettings,
    temperature=st.one_of(st.just(0.0), st.just(1.0), st.floats(0.01, 5.0)),
    top_k=st.integers(0, 14),
    top_p=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
    min_p=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
)


def softmax(xs):
    best = max(xs)
    weights = [math.exp(x - best) for x in xs]
    return [w / math.fsum(weights) for w in weights]


def slow_kept(logits, s):
    """The ids that survive the cuts, best first, one definition after the other; None if rounding could decide."""
    p = softmax(logits)
    kept = sorted((i for i in range(len(logits)) if logits[i] > -INF), key=lambda i: (-logits[i], i))
    if s.top_k:
        kept = kept[: s.top_k]
    if s.top_p < 1.0:
        total, cumulative, prefix = math.fsum(p[i] for i in kept), 0.0, []
        for i in kept:
            prefix.append(i)
            cumulative += p[i]
            if abs(cumulative - s.top_p * total) < 1e-12 and s.top_p > 0:
                return None
            if cumulative >= s.top_p * total:
                break
        kept = prefix
    if s.min_p:
        best = logits[kept[0]]
        if any(abs(math.exp(logits[i] - best) - s.min_p) < 1e-12 and logits[i] != best for i in kept):
            return None
        kept = [i for i in kept if math.exp(logits[i] - best) >= s.min_p]
    return kept[:1] if s.temperature == 0.0 else kept


@settings(max_examples=400, deadline=None)
@given(logit_lists, knobs)
def test_a_distribution_is_what_a_slow_reading_of_the_definitions_gives(logits, s):
    kept = slow_kept(logits, s)
    assume(kept is not None)
    expected = np.zeros(len(logits))
    best = max(logits)
    scaled = [(logits[i] - best) / (s.temperature or 1.0) for i in kept]
    expected[kept] = softmax(scaled)

    dist = distribution(logits, s)

    np.testing.assert_allclose(dist.raw, softmax(logits), atol=1e-12)
    np.testing.assert_allclose(dist.final, expected, atol=1e-12)
    assert sum(stage.removed for stage in dist.stages) == sum(x > -INF for x in logits) - len(kept)


@settings(max_examples=300, deadline=None)
@given(logit_lists, knobs, st.floats(0, 1, exclude_max=True))
def test_only_symbols_that_can_come_are_drawn_and_no_probability_is_nan(logits, s, u):
    dist = distribution(logits, s)
    for p in (dist.raw, dist.final):
        assert np.all(p >= 0.0) and abs(p.sum() - 1.0) < 1e-9
    id = draw(dist, u)
    assert dist.final[id] > 0.0 and logits[id] > -INF


@settings(max_examples=200, deadline=None)
@given(logit_lists, knobs)
def test_order_sorts_by_final_probability_with_ties_to_the_lower_id(logits, s):
    dist = distribution(logits, s)
    assert dist.order.tolist() == sorted(range(len(logits)), key=lambda i: (-dist.final[i], i))
    by_raw = sorted(range(len(logits)), key=lambda i: (-dist.raw[i], i))
    assert [dist.rank(i) for i in by_raw] == list(range(len(logits)))


@settings(max_examples=200, deadline=None)
@given(logit_lists, knobs)
def test_what_the_stages_removed_and_what_is_left_add_up_to_everything(logits, s):
    dist = distribution(logits, s)
    left = dist.raw[dist.final > 0.0].sum()
    gone_by_rounding = dist.raw[(dist.final == 0.0) & (dist.raw > 0.0)].sum()
    removed = sum(stage.mass for stage in dist.stages)
    assert 0.0 <= removed <= 1.0
    assert left + removed == pytest.approx(1.0, abs=1e-9) or left + gone_by_rounding == pytest.approx(1.0)


def test_scores_too_far_apart_for_floats_still_give_probabilities():
    dist = distribution([1e308, -1e308, -INF], SamplerSettings(temperature=0.01))
    assert dist.final.tolist() == [1.0, 0.0, 0.0] and dist.raw.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("logits", [[0.0, math.nan], [INF, 0.0], [-INF, -INF]])
def test_scores_of_damaged_weights_are_refused_not_sampled(logits):
    with pytest.raises(CheckpointError, match="damaged"):
        distribution(logits, NEUTRAL)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 64])
def test_top_k_keeps_exactly_k_even_among_equals_and_prefers_the_lower_ids(k):
    dist = distribution([1.0] * 65, SamplerSettings(top_k=k))
    assert np.flatnonzero(dist.final).tolist() == list(range(k))
    assert dist.stages == (Stage("top_k", 65 - k, pytest.approx((65 - k) / 65)),)


def test_top_p_keeps_the_symbol_that_crosses_the_threshold_and_at_0_only_the_best():
    logits = np.log([0.5, 0.3, 0.15, 0.05])
    kept = {
        p: np.count_nonzero(distribution(logits, SamplerSettings(top_p=p)).final) for p in (0, 0.4, 0.6, 0.9)
    }
    assert kept == {0: 1, 0.4: 1, 0.6: 2, 0.9: 3}
    assert distribution([2.0, 2.0], SamplerSettings(top_p=0.0)).final.tolist() == [1.0, 0.0]


def test_top_p_is_a_share_of_what_top_k_left():
    logits = np.log([0.4, 0.2, 0.2, 0.2])
    dist = distribution(logits, SamplerSettings(top_k=2, top_p=0.6))
    assert np.flatnonzero(dist.final).tolist() == [0]


def test_min_p_is_a_share_of_the_best_and_at_1_keeps_only_its_equals():
    logits = np.log([0.5, 0.25, 0.2, 0.05])
    assert np.flatnonzero(distribution(logits, SamplerSettings(min_p=0.45)).final).tolist() == [0, 1]
    assert np.count_nonzero(distribution([3.0, 1.0, 3.0], SamplerSettings(min_p=1.0)).final) == 2


def test_temperature_comes_last_so_heat_brings_back_nothing_that_was_cut():
    logits = np.log([0.5, 0.3, 0.15, 0.05])
    cuts = {"top_k": 3, "top_p": 0.9, "min_p": 0.2}
    cold = distribution(logits, SamplerSettings(temperature=0.1, **cuts))
    hot = distribution(logits, SamplerSettings(temperature=5.0, **cuts))
    assert np.flatnonzero(cold.final).tolist() == np.flatnonzero(hot.final).tolist() == [0, 1, 2]
    assert cold.stages == hot.stages


def test_temperature_0_takes_the_best_and_of_equals_the_lower_id():
    dist = distribution([1.0, 4.0, 4.0], SamplerSettings(temperature=0.0))
    assert dist.final.tolist() == [0.0, 1.0, 0.0]
    assert dist.stages[0].removed == 2


def test_neutral_settings_run_no_stage_and_change_nothing():
    dist = distribution([0.3, -1.0, 2.0], NEUTRAL)
    assert dist.stages == ()
    np.testing.assert_array_equal(dist.raw, dist.final)


def test_at_temperature_1_symbols_come_as_often_as_the_model_says():
    p = np.array([0.4, 0.2, 0.2, 0.1, 0.05, 0.05])
    n = 20_000
    for seed in (1, 2, 3):
        dist = distribution(np.log(p), NEUTRAL)
        counts = np.bincount([draw(dist, die(seed, i)) for i in range(n)], minlength=len(p))
        chi_square = ((counts - n * p) ** 2 / (n * p)).sum()
        assert chi_square < 20.5  # five degrees of freedom: once in a thousand


def test_a_low_die_draws_the_likeliest_symbol_and_a_high_one_the_least_likely():
    dist = distribution(np.log([0.1, 0.6, 0.3]), NEUTRAL)
    assert [draw(dist, u) for u in (0.0, 0.59, 0.61, 0.89, 0.91, 1 - 2**-53)] == [1, 1, 2, 2, 0, 0]


def test_a_die_on_the_boundary_belongs_to_the_less_likely_symbol_and_none_to_the_impossible():
    p = np.array([0.0, 0.25, 0.5, 0.25, 0.0])
    dist = Distribution(p, p, ())
    assert [draw(dist, u) for u in (0.0, 0.5, 0.75, 1 - 2**-53)] == [2, 1, 3, 3]


@given(st.lists(st.floats(1e-300, 1.0), min_size=1, max_size=9))
def test_the_highest_die_lands_on_the_least_likely_symbol_whatever_the_sum_rounds_to(weights):
    p = np.array(weights)
    dist = Distribution(p, p, ())
    assert draw(dist, 1 - 2**-53) in range(len(p))


def slow_penalties(history, vocab, strength):
    history = history[-LOOP_RANGE:]
    out = [0.0] * vocab
    for follower in range(1, len(history)):
        n = 0
        while n < LOOP_LONGEST and n < follower and history[follower - 1 - n] == history[-1 - n]:
            n += 1
        if n >= LOOP_ALLOWED:
            c = history[follower]
            out[c] = max(out[c], strength * LOOP_BASE ** (n - LOOP_ALLOWED))
    return out


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 2), max_size=20),
    st.lists(st.integers(0, 2), min_size=1, max_size=25),
    st.integers(1, 6),
)
def test_loop_penalties_are_what_comparing_every_place_with_every_other_gives(head, motif, times):
    history = head + motif * times
    np.testing.assert_allclose(loop_penalties(history, 3, 0.7), slow_penalties(history, 3, 0.7))


def test_a_repetition_shorter_than_the_allowed_length_is_left_alone_and_a_longer_one_is_not():
    word = list(range(LOOP_ALLOWED))
    assert not loop_penalties([*word[1:], 20, 21, *word[1:]], 30, 1.0).any()
    penalties = loop_penalties([*word, 20, 21, *word], 30, 1.0)
    assert np.flatnonzero(penalties).tolist() == [20] and penalties[20] == 1.0


def test_the_loop_breaker_sees_only_the_recent_text():
    word = list(range(LOOP_ALLOWED))
    apart = [20] + [29] * (LOOP_RANGE - LOOP_ALLOWED)
    assert not loop_penalties(word + apart + word, 30, 1.0)[:29].any()


def test_the_loop_breaker_reports_the_probability_it_moved_and_ends_a_greedy_loop():
    history = [0, 1, 2, 3] * 20
    logits = np.log([0.7, 0.1, 0.1, 0.1])  # the loop goes on with 0
    loop = distribution(logits, SamplerSettings(temperature=0.0), history)
    broken = distribution(logits, SamplerSettings(temperature=0.0, repetition=1.0), history)
    assert loop.final.argmax() == 0 and broken.final.argmax() == 1
    assert broken.stages[0].name == "repetition" and 0.5 < broken.stages[0].mass <= 0.7
    np.testing.assert_array_equal(broken.raw, loop.raw)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 0.005),
        ("temperature", 5.1),
        ("temperature", math.nan),
        ("temperature", INF),
        ("temperature", True),
        ("temperature", "hot"),
        ("temperature", None),
        ("top_k", -1),
        ("top_k", 2.0),
        ("top_k", False),
        ("top_k", 10**9),
        ("top_p", -0.01),
        ("top_p", 1.01),
        ("min_p", 1.5),
        ("min_p", math.nan),
        ("repetition", 5.5),
        ("repetition", -1),
    ],
)
def test_a_setting_out_of_range_is_refused_with_its_name_and_range(field, value):
    with pytest.raises(SettingsError) as refused:
        SamplerSettings(**{field: value})
    assert field in str(refused.value) and KNOBS[field].range in str(refused.value)


@pytest.mark.parametrize("field", KNOBS)
def test_both_ends_of_every_range_are_allowed_and_off_is_among_them(field):
    knob = KNOBS[field]
    for value in (knob.low, knob.high, knob.off):
        value = int(value) if knob.whole else value
        assert getattr(SamplerSettings(**{field: value}), field) == value


def test_changes_are_taken_all_or_none_and_unknown_names_are_refused():
    before = SamplerSettings()
    assert before.replaced({"top_k": 5, "temperature": 1}).to_json() == {
        "temperature": 1.0,
        "top_k": 5,
        "top_p": 1.0,
        "min_p": 0.0,
        "repetition": 0.0,
    }
    with pytest.raises(SettingsError):
        before.replaced({"top_k": 5, "temperature": 9})
    with pytest.raises(SettingsError, match=r"typical_p.*temperature"):
        before.replaced({"typical_p": 0.5})
    assert before == SamplerSettings()


def test_whole_and_real_numbers_that_are_equal_are_the_same_settings():
    assert SamplerSettings(temperature=1, min_p=0) == NEUTRAL
    assert str(SamplerSettings(temperature=-0.0).temperature) == "0.0"
