"""A model that writes text: engine, tokenizer, chat template and sampling defaults together."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Sequence
from typing import Any

from trine.checkpoint import Checkpoint, open_checkpoint
from trine.errors import UsageError
from trine.model.chat import ChatTemplate, Message, no_template
from trine.model.engine import Engine
from trine.model.generate import Generation, Request, Stream
from trine.model.sampling import Sampling
from trine.model.session import Session
from trine.model.tokenizer import Tokenizer, no_tokenizer, stop_ids


class Model:
    """Made by `trine.load`.

    tokenizer is None for a model without text, as synthetic ones: prompts are then token ids, and
    texts stay empty. Texts can be generated at the same time; each takes a session of its own.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        engine: Engine,
        tokenizer: Tokenizer | None,
        *,
        kv: str,
        context: int,
    ) -> None:
        source = checkpoint.text
        self.name = checkpoint.provenance.id
        self.engine, self.tokenizer = engine, tokenizer
        self.kv, self.context = kv, context
        self.stop_ids = stop_ids(source, tokenizer, checkpoint.config.eos_token_id)
        self._template = source.chat_template
        self._generation = source.generation
        # The session of the last text, and the ids of which its positions are the first.
        self._idle: tuple[Session, list[int]] | None = (self.session(), [])

    def generate(self, prompt: str | Sequence[int], **options: Any) -> Generation:
        """Continue a text, or token ids; options as of `stream`."""
        return _run(self.stream(prompt, **options))

    def stream(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        stop_ids: Sequence[int] = (),
        logprobs: int | None = None,
    ) -> Stream:
        """An iterator over the pieces of a text's continuation.

        max_tokens: None for as many as the context holds. The sampling options are those of
        `Sampling`; what is not given is what the model's generation_config.json recommends, which
        is greedy for most. The same seed gives the same text, whatever the number of threads.
        stop: texts to end before; stop_ids: ids to end at, beside the model's own. logprobs: log-
        probabilities of every token, and of this many likeliest ones (0 to 100).

        Raises UsageError for an option out of range, an empty prompt, text for a model without a
        tokenizer, an id outside the vocabulary, a prompt that leaves no room in the context.
        """
        sampling = self.sampling(
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            seed=seed,
        )
        if isinstance(prompt, str):
            ids = self.require_tokenizer().encode(prompt)
            if not ids:
                raise UsageError("the prompt is empty; give some text")
        else:
            try:
                ids = [operator.index(i) for i in prompt]
            except TypeError:
                raise UsageError("a prompt is a text, or a list of token ids") from None
        return self._stream(ids, sampling, max_tokens, stop, stop_ids, logprobs, continues=True)

    def chat(self, messages: Sequence[Message], **options: Any) -> Generation:
        """Answer the last of `messages`, {"role": ..., "content": ...}; options as of `stream`."""
        return _run(self.stream_chat(messages, **options))

    def stream_chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
        stop_ids: Sequence[int] = (),
        logprobs: int | None = None,
        **sampling: Any,
    ) -> Stream:
        """An iterator over the pieces of the answer; options as of `stream`.

        The beginning that a conversation shares with the text before is not computed again.
        Raises UsageError as `stream`, for a model without a chat template, and where the template
        refuses the messages; CheckpointError for a template that cannot be rendered.
        """
        chosen = self.sampling(**sampling)
        text = self.template().render(messages)
        # The template writes BOS itself.
        ids = self.require_tokenizer().encode(text, special_tokens=False)
        return self._stream(ids, chosen, max_tokens, stop, stop_ids, logprobs, continues=False)

    def sampling(self, **asked: float | None) -> Sampling:
        """The settings that these options and the model's recommendation make, with a seed."""
        settings = Sampling.of_model(self._generation, **asked)
        return settings if settings.temperature == 0 else settings.seeded()

    def template(self) -> ChatTemplate:
        """The model's chat template. Raises UsageError for a model without one."""
        if self._template is None:
            raise no_template(self.name)
        return ChatTemplate(self._template, self.require_tokenizer().special)

    def require_tokenizer(self) -> Tokenizer:
        """The tokenizer. Raises UsageError for a model without one."""
        if self.tokenizer is None:
            raise no_tokenizer(self.name)
        return self.tokenizer

    def session(self, capacity: int | None = None) -> Session:
        """A new session of the model's context, or of `capacity` positions."""
        return self.engine.session(self.context if capacity is None else capacity, self.kv)

    def _stream(
        self,
        ids: list[int],
        sampling: Sampling,
        max_tokens: int | None,
        stop: Sequence[str],
        more_stop_ids: Sequence[int],
        logprobs: int | None,
        *,
        continues: bool,
    ) -> Stream:
        self._judge(ids, logprobs)
        if isinstance(stop, str):
            stop = [stop]
        if stop:
            self.require_tokenizer()
        # Special tokens are not in the text, so one that is named as a stop string is an end token.
        tokenizer = self.tokenizer
        named = {} if tokenizer is None else {s: tokenizer.special_id(s) for s in stop}
        ends = {i for i in named.values() if i is not None}
        request = Request(
            prompt=ids,
            sampling=sampling,
            max_tokens=max_tokens,
            stop=[s for s in stop if named[s] is None],
            stop_ids=self.stop_ids | ends | frozenset(more_stop_ids),
            logprobs=logprobs,
        )
        detokenizer = None if tokenizer is None else tokenizer.detokenizer(continues=continues)
        return Stream(request, self._take(ids), detokenizer, self._give)

    def _judge(self, ids: Sequence[int], logprobs: int | None) -> None:
        vocabulary = self.engine.config.vocab_size
        wrong = [i for i in ids if not 0 <= i < vocabulary]
        if wrong or not ids:
            what = f"{wrong[0]!r} is none" if wrong else "there are none"
            raise UsageError(f"a prompt needs token ids from 0 to {vocabulary - 1}; {what}")
        if len(ids) >= self.context:
            raise UsageError(
                f"the prompt has {len(ids)} tokens, and a context of {self.context} must hold it "
                f"and at least one more; shorten it"
            )
        if logprobs is not None and not 0 <= logprobs <= 100:
            raise UsageError(f"logprobs must be 0 to 100, not {logprobs}")

    def _take(self, ids: list[int]) -> Session:
        """A session that holds a beginning of `ids`, its last one never: its logits are needed."""
        idle, self._idle = self._idle, None
        if idle is None:
            return self.session()
        session, known = idle
        shared = 0
        for ours, its in zip(ids[:-1], known[: session.length], strict=False):
            if ours != its:
                break
            shared += 1
        session.rewind(shared)
        return session

    def _give(self, session: Session, ids: list[int]) -> None:
        self._idle = (session, ids)


def load(
    model: str | Checkpoint,
    *,
    threads: int | None = None,
    body: str = "auto",
    head: str = "int8",
    kv: str = "float16",
    context: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Model:
    """Load `builtin:stories`, a directory, a .gguf file, a hub id, `synthetic:...`, a Checkpoint.

    threads: None for the cores that this process may use. body: packing of the ternary weights,
    "2bit", "base3" or "auto", which measures. head: lm_head as "float" (exact), "int8" or
    "screened". kv: the KV cache as "float16", "int8" or "float32". context: positions, at most the
    model's own (None). progress(done, layers) is called as layers are packed.

    Raises ModelNotFound, CheckpointError, UsageError for an option that cannot be, OutOfMemory.
    """
    checkpoint = open_checkpoint(model) if isinstance(model, str) else model
    most = checkpoint.config.context
    if context is not None and not 2 <= context <= most:
        raise UsageError(f"context must be 2 to {most} (the model's own), not {context}")
    # Before the weights, which take longer to judge.
    tokenizer = Tokenizer.of(checkpoint.text, checkpoint.config.vocab_size)
    engine = Engine.from_checkpoint(
        checkpoint,
        threads=_usable_cores() if threads is None else threads,
        body=body,
        head=head,
        progress=progress,
    )
    room = most if context is None else context
    return Model(checkpoint, engine, tokenizer, kv=kv, context=room)


def _run(stream: Stream) -> Generation:
    for _ in stream:
        pass
    return stream.result()


def _usable_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
