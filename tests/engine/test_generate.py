from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from engine.dice import die
from engine.errors import SettingsError, UsageError
from engine.generate import (
    CachedDecoder,
    Continuation,
    Stream,
    generate,
    start_token,
    window_start,
)
from engine.sampler import NEUTRAL, SamplerSettings, distribution, draw
from engine.tokenizer import train_tokenizer
from models import ModelConfig
from models.ngram import NGram

BLOCK = 32
LETTERS = "\n abcdefghijklmnopqrstuvwxyz,."


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products this small only wait for each other on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny_model(arch, seed=0, dtype=torch.float64, dropout=0.0):
    """Random weights, scaled up so that the next character is neither certain nor arbitrary."""
    vocab = len(LETTERS)
    if arch == "ngram":
        ids = np.random.default_rng(seed).integers(0, vocab, 4000)
        return NGram.count(ModelConfig("ngram", vocab, BLOCK, order=3), ids).eval()
    config = ModelConfig(arch, vocab, BLOCK, n_layer=2, n_head=2, n_embd=32, dropout=dropout)
    model = models.build(config).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=dtype) * 0.3)
    return model.eval()


def plain_logits(model, ids, start_id=0):
    """The reference: an uncached forward pass over exactly the window that `window_start` names."""
    window = ids[window_start(len(ids), model.config.block_size) :] or [start_id]
    with torch.inference_mode():
        return model(torch.tensor([window]))[0, -1].double().numpy()


class Scripted:
    """A decoder that foretells the tokens of a script, by position, whatever the text is."""

    def __init__(self, script, vocab=3, sureness=50.0):
        self.script, self.vocab, self.sureness, self.position = script, vocab, sureness, 0

    def prefill(self, ids):
        return self.decode(0)

    def decode(self, id):
        logits = np.zeros(self.vocab)
        logits[self.script[self.position % len(self.script)]] = self.sureness
        self.position += 1
        return logits


def nameless_model(block=BLOCK):
    return SimpleNamespace(config=SimpleNamespace(block_size=block))


@pytest.mark.parametrize("block", [1, 2, 3, 7, 8, 32])
def test_the_window_grows_until_it_is_full_and_then_keeps_its_last_half(block):
    window = []
    for n in range(200):
        assert list(range(window_start(n, block), n)) == window
        if len(window) == block:
            window = window[len(window) - block // 2 :]
        window.append(n)


@pytest.mark.parametrize("block", [2, 9, 32])
def test_once_the_window_is_full_it_never_holds_half_a_block_or_less(block):
    for n in range(block, 500):
        assert block // 2 < n - window_start(n, block) <= block


@pytest.mark.parametrize("arch", ["classic", "modern"])
def test_a_thousand_characters_are_those_of_the_plain_forward_pass(arch):
    model = tiny_model(arch)
    stream = Stream(model, [3, 4], seed=5)
    choices = [stream.step() for _ in range(1000)]

    reference = [3, 4]
    for _ in range(1000):
        dist = distribution(plain_logits(model, reference), stream.settings)
        reference.append(draw(dist, die(5, len(reference))))
    assert stream.ids == reference
    # The comparison means something: the model is neither sure of everything nor of nothing.
    assert len(set(reference)) > 20 and 0.1 < np.mean([c.raw_p for c in choices]) < 0.9


@pytest.mark.parametrize("arch", ["classic", "modern"])
def test_in_single_precision_logits_stay_within_a_ten_thousandth(arch):
    model = tiny_model(arch, dtype=torch.float32)
    stream = Stream(model, [3], seed=1)
    for _ in range(150):
        np.testing.assert_allclose(stream.peek(), plain_logits(model, stream.ids), atol=1e-4)
        stream.step()


def test_counting_models_stream_like_any_other():
    model = tiny_model("ngram")
    stream = Stream(model, [3], seed=1)
    for _ in range(100):
        np.testing.assert_allclose(stream.peek(), plain_logits(model, stream.ids), atol=1e-4)
        stream.step()


def test_a_window_is_prefilled_once_and_then_read_token_by_token():
    calls = []

    class Recording(CachedDecoder):
        def prefill(self, ids):
            calls.append(len(ids))
            return super().prefill(ids)

        def decode(self, id):
            calls.append("one")
            return super().decode(id)

    model = tiny_model("modern")
    stream = Stream(model, list(range(10)), decoder=Recording(model))
    for _ in range(60):
        stream.peek()  # looking does not read again
        stream.step()
    half = BLOCK // 2
    grow = ["one"] * (half - 1)
    assert calls == [10, *["one"] * 22, half + 1, *grow, half + 1, *grow, half + 1, *["one"] * 4]


def test_an_empty_text_begins_as_if_after_a_newline_which_is_then_forgotten():
    tokenizer = train_tokenizer("chars", LETTERS)
    assert start_token(tokenizer) == tokenizer.encode("\n").ids[0]
    assert start_token(train_tokenizer("chars", "abc")) == 0
    model = tiny_model("classic")
    stream = Stream(model, start_id=7, seed=3)
    np.testing.assert_allclose(stream.peek(), plain_logits(model, [7]), atol=1e-12)
    first = stream.step()
    assert stream.ids == [first.id] and first.position == 0
    np.testing.assert_allclose(stream.peek(), plain_logits(model, [first.id]), atol=1e-12)


@pytest.mark.parametrize("at", [1, 5, BLOCK, BLOCK + 1, 77])
def test_a_fork_that_takes_the_beginning_as_its_prompt_goes_on_alike(at):
    model = tiny_model("modern")
    whole = Stream(model, seed=9)
    for _ in range(120):
        whole.step()
    fork = Stream(model, whole.ids[:at], seed=9)
    while len(fork.ids) < 120:
        fork.step()
    assert fork.ids == whole.ids


def test_a_changed_temperature_leaves_every_other_die_as_it_was():
    flat = Scripted([0], vocab=50, sureness=0.0)  # no token depends on the ones before it
    plain = Stream(nameless_model(), seed=4, settings=NEUTRAL, decoder=flat)
    turned = Stream(nameless_model(), seed=4, settings=NEUTRAL, decoder=flat)
    for position in range(40):
        if position == 10:
            turned.set(temperature=0.0)
        if position == 11:
            turned.set(temperature=1.0)
        plain.step(), turned.step()
    assert turned.ids[10] == 0 != plain.ids[10]
    assert turned.ids[:10] + turned.ids[11:] == plain.ids[:10] + plain.ids[11:]


def test_a_swapped_character_leaves_the_dice_of_the_others_as_they_were():
    flat = Scripted([0], vocab=50, sureness=0.0)
    plain = Stream(nameless_model(), seed=4, settings=NEUTRAL, decoder=flat)
    swapped = Stream(nameless_model(), seed=4, settings=NEUTRAL, decoder=flat)
    for position in range(20):
        plain.step()
        swapped.append(49) if position == 7 else swapped.step()
    assert swapped.ids[8:] == plain.ids[8:]


def test_a_setting_acts_on_the_very_next_token_even_after_it_was_looked_at():
    model = tiny_model("classic")
    stream = Stream(model, [5], seed=2)
    for _ in range(50):
        stream.step()
        stream.distribution()
        stream.set(temperature=0.0)
        choice = stream.step()
        assert choice.rank == 0 and choice.p == 1.0
        stream.set(temperature=2.0)
    assert stream.settings_version == 100


def test_a_refused_setting_changes_nothing():
    stream = Stream(tiny_model("classic"), [5])
    for changes in ({"temperature": 7.0}, {"top_k": 3, "min_p": 2}, {"self": 1}, {"seed": 3}):
        with pytest.raises(SettingsError):
            stream.set(**changes)
    assert stream.settings == SamplerSettings() and stream.settings_version == 0


def test_seed_and_list_of_changes_replay_a_text_exactly():
    model = tiny_model("modern")
    changes = {4: {"temperature": 0.3}, 40: {"top_k": 3}, 41: {"temperature": 1.5, "repetition": 1.0}}

    def play():
        stream = Stream(model, [1, 2], seed=77)
        while len(stream.ids) < 200:
            stream.set(**changes.get(len(stream.ids), {}))
            stream.step()
        return stream.ids

    assert play() == play()


def test_other_weights_take_over_at_the_very_next_token():
    old, new = tiny_model("modern", seed=0), tiny_model("modern", seed=1)
    stream = Stream(old, [1, 2, 3])
    for _ in range(40):
        stream.step()
    stream.peek()
    stream.reload(new)
    np.testing.assert_allclose(stream.peek(), plain_logits(new, stream.ids), atol=1e-9)
    stream.step()
    np.testing.assert_allclose(stream.peek(), plain_logits(new, stream.ids), atol=1e-9)


def test_a_choice_tells_its_probabilities_and_rank():
    dist_logits = np.log([0.5, 0.3, 0.2])
    decoder = SimpleNamespace(prefill=lambda ids: dist_logits, decode=lambda id: dist_logits)
    stream = Stream(
        nameless_model(), seed=0, settings=SamplerSettings(temperature=1.0, top_k=2), decoder=decoder
    )
    for position in range(30):
        choice = stream.step()
        assert choice.position == position and choice.rank == choice.id
        assert choice.raw_p == pytest.approx([0.5, 0.3][choice.id])
        assert choice.p == pytest.approx([0.625, 0.375][choice.id])


def written(script, n, stop=(), letters="abc"):
    """The text and end of a continuation whose model foretells `script` with certainty."""
    tokenizer = train_tokenizer("chars", letters)
    decoder = Scripted(tokenizer.encode(script).ids.tolist(), vocab=len(letters))
    stream = Stream(nameless_model(), settings=SamplerSettings(temperature=0.0), decoder=decoder)
    continuation = Continuation(stream, tokenizer, n, stop)
    pieces = []
    while continuation.ended is None:
        pieces += continuation.advance()
    return "".join(piece.text for piece in pieces), continuation.ended, pieces


def test_a_stop_text_is_found_although_it_began_once_in_vain():
    assert written("aaab", 100, ["aab"])[:2] == ("a", "stop")


def test_what_was_held_back_for_a_stop_text_is_given_out_when_the_text_ends_before_it():
    assert written("cab", 2, ["ab"])[:2] == ("ca", "max")
    assert written("cabca", 5, ["bb", "cac"])[:2] == ("cabca", "max")


def test_of_several_stop_texts_the_one_that_is_complete_first_counts():
    assert written("abcabc", 100, ["abc", "b"])[:2] == ("a", "stop")
    assert written("aabc", 100, ["aabc", "bc"])[:2] == ("", "stop")


@settings(max_examples=300, deadline=None)
@given(
    st.text("ab", min_size=1, max_size=30),
    st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=3),
)
def test_the_text_ends_before_the_first_complete_stop_text_and_is_whole_otherwise(script, stop):
    text, ended, pieces = written(script, len(script), stop)
    # Grow the script until it ends in a stop text: the longest of those that complete together began first.
    ends = [k for k in range(1, len(script) + 1) if script[:k].endswith(tuple(stop))]
    if ends:
        longest = max(len(s) for s in stop if script[: ends[0]].endswith(s))
        assert (text, ended) == (script[: ends[0] - longest], "stop")
    else:
        assert (text, ended) == (script, "max")
    assert [piece.choice.position for piece in pieces] == list(range(len(pieces)))


def test_generating_writes_exactly_as_many_characters_as_asked_and_none_for_none():
    tokenizer, model = train_tokenizer("chars", LETTERS), tiny_model("modern")
    for n in (0, 1, 50):
        assert sum(len(piece.text) for piece in generate(model, tokenizer, "abc", n, seed=1)) == n


def test_a_token_that_reaches_past_the_last_character_is_cut():
    pairs = SimpleNamespace(decoder=lambda: SimpleNamespace(push=lambda id: "xy", flush=lambda: ""))
    stream = Stream(nameless_model(), decoder=Scripted([0]))
    continuation = Continuation(stream, pairs, 5)
    texts = [piece.text for _ in range(3) for piece in continuation.advance()]
    assert (texts, continuation.ended) == (["xy", "xy", "x"], "max")


def test_bytes_count_as_characters_only_when_one_is_complete():
    tokenizer = train_tokenizer("bytes", "")
    decoder = Scripted(list("aé€".encode()), vocab=256)
    stream = Stream(nameless_model(), settings=SamplerSettings(temperature=0.0), decoder=decoder)
    continuation = Continuation(stream, tokenizer, 3)
    pieces = []
    while continuation.ended is None:
        pieces += continuation.advance()
    assert [piece.text for piece in pieces] == ["a", "", "é", "", "", "€"]


def test_generating_from_a_model_in_training_leaves_it_in_training():
    tokenizer, model = train_tokenizer("chars", LETTERS), tiny_model("classic", dropout=0.5)
    first = [p.text for p in generate(model, tokenizer, "abc", 60, seed=1)]
    model.train()
    assert [p.text for p in generate(model, tokenizer, "abc", 60, seed=1)] == first
    assert model.training
    pieces = generate(model, tokenizer, "abc", None, seed=1)
    next(pieces)
    pieces.close()
    assert model.training


def test_generating_draws_nothing_from_torchs_own_generator():
    tokenizer, model = train_tokenizer("chars", LETTERS), tiny_model("classic")
    before = torch.get_rng_state()
    list(generate(model, tokenizer, "abc", 50))
    assert torch.equal(before, torch.get_rng_state())


def test_wrong_questions_are_refused():
    tokenizer, model = train_tokenizer("chars", LETTERS), tiny_model("classic")
    for wrong in ({"n": -1}, {"n": 5, "seed": -1}, {"n": 5, "stop": [""]}):
        with pytest.raises(UsageError):
            next(generate(model, tokenizer, "abc", **wrong))
