"""The generation loop: one token at a time, as text that can be shown at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trine.errors import UsageError
from trine.model.detokenizer import Detokenizer
from trine.model.sampling import Sampler, Sampling, log_softmax
from trine.model.session import Session
from trine.model.stopping import StopStrings

# stop: an end token or a stop string. length: max_tokens. context: no position is left.
# interrupted: nothing of these, the stream was left (Ctrl-C).
FinishReason = Literal["stop", "length", "context", "interrupted"]


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's natural log-probability, and the likeliest (id, log-probability), best first.

    Of the model's own distribution, before penalty, temperature and cuts. A screened lm_head knows
    the logits of the rows that it rescored; it is normalised over these.
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds by `time.perf_counter`; what the consumer of a stream does between is not counted.

    cached_tokens: of the prompt, those that an earlier text had left in the KV cache.
    """

    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    prefill_seconds: float
    decode_seconds: float

    @property
    def prefill_rate(self) -> float:
        """Prompt tokens a second, of those that were not cached."""
        return _rate(self.prompt_tokens - self.cached_tokens, self.prefill_seconds)

    @property
    def decode_rate(self) -> float:
        """Tokens a second after the first, which comes from the prompt's own pass."""
        return _rate(max(0, self.generated_tokens - 1), self.decode_seconds)


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model wrote.

    text: without special tokens, cut before a stop string. tokens: ids without the end token.
    logprobs: one for each token where they were asked for, else empty. seed: repeats this text.
    """

    text: str
    tokens: list[int]
    logprobs: list[TokenLogprob]
    finish_reason: FinishReason
    timings: Timings
    seed: int | None


@dataclass(frozen=True, slots=True)
class Request:
    """A text to continue. `logprobs`: how many likely tokens to name; None for no probabilities."""

    prompt: Sequence[int]
    sampling: Sampling
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    stop_ids: frozenset[int] = field(default_factory=frozenset)
    logprobs: int | None = None


class Stream(Iterator[str]):
    """Pieces of text as they come; together they are `result().text`.

    `result()` can be had at any time, after an exception or Ctrl-C too, and ends the stream.
    `logprobs` grows with it.
    """

    def __init__(
        self,
        request: Request,
        session: Session,
        detokenizer: Detokenizer | None,
        done: Callable[[Session, list[int]], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`session` holds the first `session.length` tokens of the prompt already.

        `done` is called once with the session and the ids of which its positions are the first.
        """
        if request.max_tokens is not None and request.max_tokens < 1:
            raise UsageError(f"max_tokens must be at least 1, not {request.max_tokens}")
        self.tokens: list[int] = []
        self.logprobs: list[TokenLogprob] = []
        self._request, self._session, self._done = request, session, done
        self._detokenizer = detokenizer
        self._stops = StopStrings(request.stop)
        self._sampler = Sampler(request.sampling)
        self._seen = set(request.prompt)
        self._clock = clock
        self._cached = session.length
        self._prefill_seconds = self._decode_seconds = 0.0
        self._text: list[str] = []
        self._finish: FinishReason | None = None
        self._result: Generation | None = None
        room = session.capacity - len(request.prompt)
        self._most = room if request.max_tokens is None else min(room, request.max_tokens)

    def __next__(self) -> str:
        """The next piece, never empty and never part of a character."""
        while self._finish is None:
            token = self._step()
            if token is None:
                piece = self._end("stop")
            else:
                text = "" if self._detokenizer is None else self._detokenizer.push(token)
                piece = self._stops.push(text)
                if self._stops.found is not None:
                    self._finish = "stop"
                elif len(self.tokens) == self._most:
                    limit = self._request.max_tokens
                    piece += self._end("length" if limit == self._most else "context")
            if piece:
                self._text.append(piece)
                return piece
        self._release()
        raise StopIteration

    def result(self) -> Generation:
        """What was written; what was held back at an early end is in the text, too."""
        if self._result is None:
            if self._finish is None:
                self._text.append(self._end("interrupted"))
            self._release()
            assert self._finish is not None
            self._result = Generation(
                text="".join(self._text),
                tokens=self.tokens,
                logprobs=self.logprobs,
                finish_reason=self._finish,
                timings=Timings(
                    prompt_tokens=len(self._request.prompt),
                    cached_tokens=self._cached,
                    generated_tokens=len(self.tokens),
                    prefill_seconds=self._prefill_seconds,
                    decode_seconds=self._decode_seconds,
                ),
                seed=self._request.sampling.seed,
            )
        return self._result

    def _step(self) -> int | None:
        """The next token, None for the end; an exception leaves everything before it as it was."""
        before = self._clock()
        session = self._session
        ids = [*self._request.prompt, *self.tokens]
        if session.length == len(ids):  # Ctrl-C came between a pass and the choice of a token
            session.rewind(len(ids) - 1)
        logits = session.prefill(np.asarray(ids[session.length :], dtype=np.int64))
        token = self._sampler.choose(logits, self._seen)
        logprob = self._logprob(logits, token)
        seconds = self._clock() - before
        if self.tokens:
            self._decode_seconds += seconds
        else:
            self._prefill_seconds += seconds
        if token in self._request.stop_ids:
            return None
        self.tokens.append(token)
        self._seen.add(token)
        if logprob is not None:
            self.logprobs.append(logprob)
        return token

    def _logprob(self, logits: NDArray[np.float32], token: int) -> TokenLogprob | None:
        count = self._request.logprobs
        if count is None:
            return None
        logs = log_softmax(logits)
        best = np.argsort(-logs, kind="stable")[:count]
        top = tuple((int(i), float(logs[i])) for i in best if logs[i] > -np.inf)
        return TokenLogprob(token, float(logs[token]), top)

    def _end(self, reason: FinishReason) -> str:
        """Finish, and give what was held back."""
        self._finish = reason
        tail = "" if self._detokenizer is None else self._detokenizer.flush()
        return self._stops.push(tail) + self._stops.flush()

    def _release(self) -> None:
        """Give the session back, once."""
        done, self._done = self._done, _nothing
        done(self._session, [*self._request.prompt, *self.tokens])


def _nothing(session: Session, ids: list[int]) -> None:
    """What is done with a session that was given back already."""


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0
