"""lm-eval's own `hf` model runs an accelerated one, on a task file and data of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from requirements import require_module
from text_models import write_text_model

torch = require_module("torch")
require_module("lm_eval")

from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

import trine.torch  # noqa: E402

DOCUMENTS = [
    {"question": "Once upon a time there was", "choices": [" a king", " a café"], "answer": 0},
    {"question": "The youngest couldn't", "choices": [" sleep", " see", " go"], "answer": 1},
    {"question": "and the king's", "choices": [" daughters", " sons"], "answer": 1},
]
TASK = """\
task: trine_choices
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: answer
target_delimiter: ""
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1
"""


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing outside of this test's own folder is read, asked or written."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def test_a_task_of_our_own_gives_the_models_own_probabilities(
    offline: None, tmp_path: Path
) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder = write_text_model(tmp_path / "model")
    data, tasks = tmp_path / "data.jsonl", tmp_path / "tasks"
    data.write_text("".join(json.dumps(each) + "\n" for each in DOCUMENTS), encoding="utf-8")
    tasks.mkdir()
    (tasks / "trine_choices.yaml").write_text(TASK.format(data=data), encoding="utf-8")
    config = trine.torch.config(str(folder), lm_head="float", threads=1)
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    hf = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=2, device="cpu")
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    found: Any = simple_evaluate(
        model=hf,
        tasks=["trine_choices"],
        task_manager=manager,
        bootstrap_iters=0,
        log_samples=True,
    )
    samples = sorted(found["samples"]["trine_choices"], key=lambda sample: sample["doc_id"])
    right = 0
    for sample, document in zip(samples, DOCUMENTS, strict=True):
        given = [score for ((score, _),) in zip(sample["filtered_resps"], strict=True)]
        own = [
            loglikelihood(model, tokenizer, document["question"], c) for c in document["choices"]
        ]
        # In a batch of two, other sums round differently and flip int8 codes.
        assert given == pytest.approx(own, rel=2e-2)
        right += given.index(max(given)) == document["answer"]
    assert found["results"]["trine_choices"]["acc,none"] == pytest.approx(right / len(DOCUMENTS))


def loglikelihood(model: Any, tokenizer: Any, question: str, choice: str) -> float:
    start = tokenizer(question).input_ids
    whole = tokenizer(question + choice).input_ids
    assert whole[: len(start)] == start
    with torch.no_grad():
        logs = model(torch.tensor([whole])).logits[0].log_softmax(-1)
    return float(sum(logs[i - 1, whole[i]] for i in range(len(start), len(whole))))
