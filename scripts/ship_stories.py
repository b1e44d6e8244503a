"""Pack a trained run as builtin:stories and write its model card; ends with one JSON line.

    .venv/bin/python scripts/ship_stories.py RUN BOOKS [TO]

RUN is a folder of `trine train --twin`, BOOKS the folder of .txt files that it was trained on. What
is judged is the packed model as it ships, through the same code as its float twin and two n-grams.
Files go below TO, by default this repository; name another folder to judge without shipping.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import transformers

import torch
from trine.checkpoint import open_checkpoint
from trine.checkpoint.tensors import EMBEDDING
from trine.torch.models import build
from trine.torch.train.corpus import Books, digest, encode, load_tokenizer, read_books
from trine.torch.train.evaluate import LanguageModelScorer, Score, score, shared_text
from trine.torch.train.folder import RunFolder
from trine.torch.train.loop import read_log
from trine.torch.train.ngram import ByteBigram
from trine.torch.train.pack import pack
from trine.torch.train.prepare import separator
from trine.torch.train.recipe import Recipe
from trine.torch.train.samples import NEW_TOKENS, TEMPERATURE, TOP_K, Sample, draw_samples
from trine.torch.train.state import load_state

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "scripts" / "model-card-stories.md.in"
SAMPLES_OF_EACH_PROMPT = 2


def main(run: RunFolder, folder: Path, to: Path) -> None:
    """Pack, judge, draw samples, write the card."""
    packed, card = to / "src/trine/builtin/stories", to / "docs/model-card-stories.md"
    state = load_state(run.state)
    recipe = Recipe.from_dict(state["recipe"])
    books = read_books(folder, recipe.held_out)
    trained = open_checkpoint(str(run.root))
    saved = state["networks"]["ternary"][EMBEDDING].numpy()
    if not np.array_equal(trained.dense(EMBEDDING), saved):
        sys.exit(f"{run.root} was being written to; wait for its next checkpoint")
    tokenizer = load_tokenizer(run.tokenizer)
    stream = encode(tokenizer, books.training.values(), separator(recipe.model))
    if digest(stream) != recipe.data:
        sys.exit(f"the text in {folder} is not what {run.root} was trained on")
    pack(trained, run.root, packed)
    shipped = build(open_checkpoint(str(packed)), mode="offline", dtype="float32")
    unrounded = build(trained, mode="offline", dtype="float32")
    twin: Any = transformers.AutoModelForCausalLM.from_pretrained(run.twin, dtype=torch.float32)
    scorers = {
        "byte unigram": ByteBigram(books.training.values(), order=1),
        "byte bigram": ByteBigram(books.training.values(), order=2),
        "float32 twin": _scorer(twin, tokenizer, recipe),
        "float32 embedding": _scorer(unrounded, tokenizer, recipe),
        "builtin:stories": _scorer(shipped, tokenizer, recipe),
    }
    scores = {}
    # Hugging Face's kernels would be compiled anew for the length of each book's last window.
    with torch.compiler.set_stance("force_eager"):
        for name, scorer in scorers.items():
            scores[name] = score(books.held_out, scorer)
            print(f"{name:16} {scores[name]['all'].perplexity:8.3f} per byte", flush=True)
    shared = {name: shared_text(books.training.values(), t) for name, t in books.held_out.items()}
    samples = draw_samples(shipped, tokenizer, SAMPLES_OF_EACH_PROMPT)
    figures = _figures(recipe, state["step"], scores, shared, read_log(run))
    figures["packed_bytes"] = sum(path.stat().st_size for path in packed.iterdir())
    card.parent.mkdir(parents=True, exist_ok=True)
    card.write_text(_card(recipe, books, scores, figures, samples), encoding="utf-8")
    print(json.dumps(figures))


def _scorer(model: Any, tokenizer: Any, recipe: Recipe) -> LanguageModelScorer:
    end = separator(recipe.model)
    return LanguageModelScorer(model.eval(), tokenizer, separator=end, window=recipe.window)


def _figures(
    recipe: Recipe,
    step: int,
    scores: dict[str, dict[str, Score]],
    shared: dict[str, float],
    log: list[dict[str, Any]],
) -> dict[str, Any]:
    total = {name: by_book["all"] for name, by_book in scores.items()}
    last = log[-100:]
    return {
        "step": step,
        "steps": recipe.steps,
        "tokens": step * recipe.batch * recipe.window,
        "perplexity_per_byte": {name: each.perplexity for name, each in total.items()},
        "against_bigram": total["builtin:stories"].perplexity / total["byte bigram"].perplexity,
        "against_twin": total["builtin:stories"].perplexity / total["float32 twin"].perplexity,
        "against_unrounded": total["builtin:stories"].perplexity
        / total["float32 embedding"].perplexity,
        "shared_64_bytes": shared,
        "training_loss": {
            name: sum(record["loss"][name] for record in last) / len(last)
            for name in last[-1]["loss"]
        },
    }


def _card(
    recipe: Recipe,
    books: Books,
    scores: dict[str, dict[str, Score]],
    figures: dict[str, Any],
    samples: list[Sample],
) -> str:
    model = recipe.model
    rows = [["book", "bytes", *scores], ["---", *["---:"] * (len(scores) + 1)]]
    for book in (*books.held_out, "all"):
        size = next(iter(scores.values()))[book].bytes
        rows.append(
            [book, f"{size:,}", *(f"{each[book].perplexity:.3f}" for each in scores.values())]
        )
    shared, loss = figures["shared_64_bytes"], figures["training_loss"]
    return TEMPLATE.read_text(encoding="utf-8").format(
        **figures | {"tokens": f"{figures['tokens'] / 1e6:.2f}"},
        recipe=recipe,
        model=model,
        unfinished=_unfinished(figures),
        parameters=f"{model.parameters() / 1e6:.2f}",
        ternary=f"{model.layers * model.ternary_per_layer / 1e6:.2f}",
        megabytes=f"{figures['packed_bytes'] / 1e6:.2f}",
        books=len(books.training),
        book_megabytes=f"{sum(len(t.encode()) for t in books.training.values()) / 1e6:.1f}",
        loss=", ".join(f"{name} {value:.3f}" for name, value in loss.items()),
        table="\n".join(f"| {' | '.join(row)} |" for row in rows),
        shared=", ".join(f"{100 * share:.2f} % of {name}" for name, share in shared.items()),
        samples="\n\n".join(f"Seed {each.seed}:\n\n{_quote(each.text)}" for each in samples),
        temperature=TEMPERATURE,
        top_k=TOP_K,
        new_tokens=NEW_TOKENS,
    )


def _unfinished(figures: dict[str, Any]) -> str:
    if figures["step"] == figures["steps"]:
        return ""
    return (
        f"\n**The training is unfinished: {figures['step']} of {figures['steps']} steps.** All "
        f"figures are of this state.\n"
    )


def _quote(text: str) -> str:
    """Markdown that shows a text as it came, line breaks too."""
    return "\n".join(f"    {line}" for line in text.split("\n"))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    run_path, books_path, to_path = (Path(each) for each in (*sys.argv[1:], ROOT)[:3])
    main(RunFolder(run_path), books_path, to_path)
