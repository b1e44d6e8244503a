"""Generation: Hugging Face's greedy text, streams, ends, seeds, caches, interruptions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import trine
from requirements import require_module
from small_models import TINY
from text_models import write_text_model
from trine.checkpoint import open_checkpoint
from trine.errors import CheckpointError, UsageError
from trine.model import Model, Session
from trine.model.heads import Selection
from trine.model.sampling import log_softmax

PROMPT = "Once upon a time"
# Spread enough to wander through the vocabulary, so that texts have many characters and tokens.
WARM: dict[str, Any] = {"temperature": 1.0, "seed": 5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_model(tmp_path_factory.mktemp("text") / "model")


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return trine.load(str(folder), threads=1, body="2bit", head="float", context=128)


def test_greedy_tokens_are_those_of_hugging_face_generate() -> None:
    """Until its two best logits come as close as its own disagreement with itself (formats.md)."""
    torch = require_module("torch")
    from trine.torch.models import build

    theirs = build(TINY, mode="offline", dtype="float32", layers=None)
    ours = trine.load(TINY, threads=1, body="2bit", head="float", kv="float32")
    compared = 0
    for seed in range(10):
        ids = np.random.default_rng(seed).integers(0, 1024, 12).tolist()
        # Eager: compiling the quantisers takes minutes, and computes the same.
        with torch.compiler.set_stance("force_eager"):
            found = theirs.generate(
                torch.tensor([ids]),
                max_new_tokens=6,
                do_sample=False,
                output_logits=True,
                return_dict_in_generate=True,
                pad_token_id=0,
            )
        expected = found.sequences[0, len(ids) :].tolist()
        tokens = ours.generate(ids, max_tokens=6).tokens
        for token, wanted, logits in zip(tokens, expected, found.logits, strict=True):
            best = logits[0].topk(2).values
            if (best[0] - best[1]) / logits[0].std() < 0.1:
                break
            assert token == wanted
            compared += 1
    assert compared >= 12


def test_the_pieces_of_a_stream_are_the_text(model: Model) -> None:
    stream = model.stream(PROMPT, max_tokens=60, **WARM)
    pieces = list(stream)
    whole = model.generate(PROMPT, max_tokens=60, **WARM)
    assert "".join(pieces) == stream.result().text == whole.text
    assert stream.result().tokens == whole.tokens
    assert len(pieces) > 10 and all(pieces)
    tokenizer = model.require_tokenizer()
    assert whole.text == tokenizer.decode(whole.tokens, continues=True)


def test_the_same_seed_is_the_same_text_whatever_threads_packing_and_cache(
    folder: Path, model: Model
) -> None:
    first = model.generate(PROMPT, max_tokens=40, **WARM)
    again = model.generate(PROMPT, max_tokens=40, **WARM)
    assert (first.timings.cached_tokens, again.timings.cached_tokens) != (0, 0)
    other = trine.load(str(folder), threads=2, body="base3", head="float", context=128)
    fresh = other.generate(PROMPT, max_tokens=40, **WARM)
    assert fresh.timings.cached_tokens == 0
    assert first.tokens == again.tokens == fresh.tokens
    assert model.generate(PROMPT, max_tokens=40, temperature=1.0, seed=6).tokens != first.tokens


def test_an_unasked_seed_is_reported_and_repeats_the_text(model: Model) -> None:
    first = model.generate(PROMPT, max_tokens=20, temperature=1.0)
    assert first.seed is not None
    again = model.generate(PROMPT, max_tokens=20, temperature=1.0, seed=first.seed)
    assert again.tokens == first.tokens
    assert model.generate(PROMPT, max_tokens=2).seed is None


def test_a_stop_string_cuts_the_text_across_tokens(model: Model) -> None:
    whole = model.generate(PROMPT, max_tokens=60, **WARM)
    assert len(whole.text) > 16
    for start in (1, 6, len(whole.text) - 5):
        stop = whole.text[start : start + 4]
        cut = model.generate(PROMPT, max_tokens=60, stop=[stop, "not in it"], **WARM)
        assert cut.text == whole.text[: whole.text.index(stop)]
        assert cut.finish_reason == "stop"
        assert cut.tokens == whole.tokens[: len(cut.tokens)]


def test_end_tokens_are_the_files_the_users_and_named_ones(model: Model, folder: Path) -> None:
    whole = model.generate(PROMPT, max_tokens=30, **WARM)
    end = whole.tokens[10]
    first = whole.tokens.index(end)
    cut = model.generate(PROMPT, max_tokens=30, stop_ids=[end], **WARM)
    assert (cut.tokens, cut.finish_reason) == (whole.tokens[:first], "stop")
    assert model.stop_ids == {1}  # <|end|> of tokenizer_config.json
    # A special token is no part of the text, so as a stop string it is its id.
    request = model.stream(PROMPT, stop=["<|user|>", "text"])._request
    assert request.stop_ids == {1, 2} and list(request.stop) == ["text"]


def test_the_first_token_may_be_the_end(model: Model) -> None:
    token = model.generate(PROMPT, max_tokens=1).tokens[0]
    empty = model.generate(PROMPT, stop_ids=[token])
    assert (empty.text, empty.tokens, empty.finish_reason) == ("", [], "stop")


def test_the_context_ends_a_text_and_refuses_a_prompt(model: Model) -> None:
    ids = [5] * 120
    full = model.generate(ids)
    assert (len(full.tokens), full.finish_reason) == (8, "context")
    assert model.generate(ids, max_tokens=8).finish_reason == "length"
    assert len(model.generate([5] * 127).tokens) == 1
    with pytest.raises(UsageError, match="the prompt has 128 tokens, and a context of 128"):
        model.generate([5] * 128)


def test_logprobs_are_the_models_own_whatever_the_temperature(model: Model) -> None:
    ids = model.require_tokenizer().encode(PROMPT)
    found = model.generate(PROMPT, max_tokens=5, logprobs=3, temperature=2.0, top_k=40, seed=1)
    session = model.session()
    logits = session.prefill(ids)
    assert len(found.logprobs) == len(found.tokens) == 5
    for token, each in zip(found.tokens, found.logprobs, strict=True):
        logs = log_softmax(logits)
        best = np.argsort(-logs)[:3]
        assert each.token == token and each.logprob == pytest.approx(float(logs[token]))
        assert [i for i, _ in each.top] == best.tolist()
        assert [value for _, value in each.top] == pytest.approx(logs[best].tolist())
        logits = session.decode(token)
    assert model.generate(PROMPT, max_tokens=2).logprobs == []


def test_a_screened_head_writes_the_exact_heads_greedy_text(
    folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    screened = trine.load(str(folder), threads=1, body="2bit", head="screened", context=128)
    kept = 40
    head = screened.engine.head
    assert head.kind == "screened"
    rescore = head.select

    def few(hidden: NDArray[np.float32]) -> Selection:
        """Of a vocabulary this small too many rows are rescored to see what is left out."""
        selection = rescore(hidden)
        best = np.argsort(-selection.logits)[:kept]
        return replace(selection, ids=selection.ids[best], logits=selection.logits[best])

    monkeypatch.setattr(head, "select", few)
    text = screened.generate(PROMPT, max_tokens=20, logprobs=100)
    assert text.tokens == model.generate(PROMPT, max_tokens=20).tokens
    # Tokens that were not rescored have no probability at all.
    assert all(len(each.top) == kept for each in text.logprobs)
    screened.generate(PROMPT, max_tokens=20, temperature=1.0, top_p=0.9, repetition_penalty=1.2)


def test_ctrl_c_leaves_what_was_written_and_a_model_that_goes_on(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.generate(PROMPT, max_tokens=30, **WARM)
    prefill, calls = Session.prefill, 0

    def interrupted(session: Session, tokens: Any, **options: Any) -> NDArray[np.float32]:
        nonlocal calls
        calls += 1
        if calls == 13:
            raise KeyboardInterrupt
        return prefill(session, tokens, **options)

    monkeypatch.setattr(Session, "prefill", interrupted)
    stream = model.stream(PROMPT, max_tokens=30, stop=["never"], **WARM)
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    found = stream.result()
    assert (found.tokens, found.finish_reason) == (whole.tokens[:12], "interrupted")
    assert found.text == model.require_tokenizer().decode(found.tokens, continues=True)
    assert list(stream) == []
    assert model.generate(PROMPT, max_tokens=30, **WARM).tokens == whole.tokens


def test_two_streams_at_once_do_not_disturb_each_other(model: Model) -> None:
    alone = [model.generate(p, max_tokens=15, **WARM).text for p in (PROMPT, "the king")]
    streams = [model.stream(p, max_tokens=15, **WARM) for p in (PROMPT, "the king")]
    texts = ["", ""]
    for _ in range(40):
        for i, stream in enumerate(streams):
            texts[i] += next(stream, "")
    assert texts == alone


def test_a_chat_computes_its_beginning_once(model: Model) -> None:
    question = [{"role": "user", "content": "the king?"}]
    first = model.chat(question, max_tokens=10)
    longer = [
        *question,
        {"role": "assistant", "content": first.text},
        {"role": "user", "content": "and his sons?"},
    ]
    second = model.chat(longer, max_tokens=10)
    assert second.timings.cached_tokens >= first.timings.prompt_tokens
    other = model.generate([9, 8, 7], max_tokens=1)
    assert other.timings.cached_tokens == 0
    assert model.chat(longer, max_tokens=10).tokens == second.tokens


def test_timings_count_the_engine_and_not_the_reader() -> None:
    from trine.model.generate import Request, Stream
    from trine.model.sampling import Sampling

    loaded = trine.load(TINY, threads=1, body="2bit")
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1.0
        return now

    stream = Stream(
        Request([1, 2, 3], Sampling(), max_tokens=4), loaded.session(16), None, give, clock
    )
    assert list(stream) == []  # no tokenizer: tokens and no text
    timings = stream.result().timings
    # Each step reads the clock twice, a second apart.
    assert (timings.prefill_seconds, timings.decode_seconds) == (1.0, 3.0)
    assert (timings.prefill_rate, timings.decode_rate) == (3.0, 1.0)


def give(session: Session, ids: list[int]) -> None:
    assert session.length == len(ids) - 1


def test_a_model_without_a_tokenizer_continues_ids_and_says_what_it_cannot() -> None:
    loaded = trine.load("synthetic:tiny", threads=1, body="2bit")
    found = loaded.generate(np.array([1, 2, 3]), max_tokens=4)
    assert (found.text, len(found.tokens)) == ("", 4)
    with pytest.raises(UsageError, match=r"synthetic:tiny has no tokenizer.*--tokens 1,2,3"):
        loaded.generate("Hi")
    with pytest.raises(UsageError, match="has no tokenizer"):
        loaded.generate([1], stop=["x"])
    with pytest.raises(UsageError, match="has no chat template: it was not made to chat"):
        loaded.chat([{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ([], {}, "needs token ids from 0 to 1023; there are none"),
        ([1024], {}, "1024 is none"),
        ([-1], {}, "-1 is none"),
        ([0.5], {}, "a text, or a list of token ids"),
        (3, {}, "a text, or a list of token ids"),
        (PROMPT, {"max_tokens": 0}, "max_tokens must be at least 1, not 0"),
        (PROMPT, {"stop": [""]}, "a stop string is empty"),
        (PROMPT, {"logprobs": -1}, "logprobs must be 0 to 100"),
        (PROMPT, {"temperature": -1}, "temperature must be"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_lost(
    model: Model, prompt: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        model.generate(prompt, **options)
    assert model.generate(PROMPT, max_tokens=1).tokens


def test_options_of_loading_are_judged(folder: Path) -> None:
    for context in (1, 10**6):
        with pytest.raises(UsageError, match="context must be 2 to 2048"):
            trine.load(str(folder), context=context)
    with pytest.raises(UsageError, match="float8"):
        trine.load(str(folder), threads=1, body="2bit", kv="float8")
    (folder / "broken").mkdir()
    broken = write_text_model(folder / "broken" / "model")
    (broken / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is damaged"):
        trine.load(str(broken))


def test_the_recommended_sampling_of_the_files_is_used(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "m", do_sample=True, temperature=0.6, eos_token_id=[3, 4])
    loaded = trine.load(open_checkpoint(str(folder)), threads=1, body="2bit")
    assert loaded.sampling().temperature == 0.6 and loaded.sampling().seed is not None
    assert loaded.stop_ids == {1, 3, 4}
    assert loaded.generate(PROMPT, max_tokens=3).seed is not None


def test_torch_is_never_imported(folder: Path) -> None:
    """And `import trine` alone brings nothing along."""
    script = (
        "import sys, trine\n"
        "assert 'numpy' not in sys.modules\n"
        f"model = trine.load({str(folder)!r}, threads=1, body='2bit')\n"
        "print(model.chat([{'role': 'user', 'content': 'Hi'}], max_tokens=3, temperature=1))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    run(script)


def run(script: str, *arguments: str) -> Sequence[str]:
    child = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.splitlines()
