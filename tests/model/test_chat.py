"""Chat templates: Hugging Face's text, and what a hostile one can do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from requirements import require_module
from text_models import CHAT, write_text_model
from trine.checkpoint import open_checkpoint
from trine.errors import CheckpointError, UsageError
from trine.model import chat
from trine.model.chat import ChatTemplate

MESSAGES = [
    {"role": "system", "content": "Be brief & <kind>."},
    {"role": "user", "content": "  Héllo 😀\n"},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "And?"},
]
# Written as LLaMA-3's, 2B-4T's and tool templates are: loops, filters, strftime_now, tojson,
# namespaces, macros, break, whitespace control, the generation mark.
TEMPLATES = [
    CHAT,
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start|>' + message['role'] + '\\n\\n' + message['content'] | trim %}"
    "{% set content = content + '<|e|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\\n\\n' }}{% endif %}",
    "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
    "{% if message['role'] == 'user' %}"
    "{{ 'Human: ' + message['content'] + '\\n\\nBITNETAssistant: ' }}"
    "{% elif message['role'] == 'assistant' %}{% generation %}{{ message['content'] + eos_token }}"
    "{% endgeneration %}{% endif %}{% endfor %}",
    "{%- macro show(m) -%}{{ m.role | upper }}{%- endmacro -%}\n"
    "{% set ns = namespace(n=0) %}\n  {% for m in messages %}\n    {% set ns.n = ns.n + 1 %}\n"
    "{{ show(m) }} {{ m | tojson }} {{ ns.n }}\n"
    "{% if ns.n == 3 %}{% break %}{% endif %}\n{% endfor %}"
    "{{ messages | tojson(indent=2) }}{{ tools is none }}{{ strftime_now('%Y') | length }}",
]


def rendered(source: str, **special: str) -> str:
    return ChatTemplate(source, special).render([{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize("source", TEMPLATES, ids=range(len(TEMPLATES)))
def test_the_text_is_that_of_apply_chat_template(source: str, tmp_path: Path) -> None:
    require_module("torch")
    from transformers import AutoTokenizer

    folder = write_text_model(tmp_path / "model", chat=False)
    (folder / "chat_template.jinja").write_text(source, encoding="utf-8")
    theirs = AutoTokenizer.from_pretrained(folder)
    text = open_checkpoint(str(folder)).text
    assert text.chat_template == source
    ours = ChatTemplate(source, {"bos_token": "<|begin|>", "eos_token": "<|end|>"})
    for add in (True, False):
        expected = theirs.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=add)
        assert ours.render(MESSAGES, add_generation_prompt=add) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ ''.__class__.__mro__ }}", "SecurityError: access to attribute '__class__'"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ cycler.__init__.__globals__ }}", "SecurityError"),
        ("{{ 'a' * 10 ** 10 }}", "more than 256 MB of memory"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without an end"),
        ("{{ range(10 ** 9) }}", "OverflowError: Range too big"),
        ("{{ 'a' * 5000000 }}", "more than 4000000 characters"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ messages[0]['content'] + 1 }}", "TypeError"),
        ("{% for %}", "line 1: "),
        ("{% include 'x' %}", "TypeError: no loader"),
        ("{% import 'os' as os %}", "TypeError: no loader"),
    ],
)
def test_a_template_that_fails_is_one_line(source: str, message: str) -> None:
    with pytest.raises(CheckpointError, match="chat template cannot be rendered") as refusal:
        rendered(source)
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ (10 ** 9) ** (10 ** 8) }}",
    ],
)
def test_a_template_that_loops_is_stopped(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(chat._LIMITS, "seconds", 1)
    with pytest.raises(CheckpointError, match="more than 1 s of CPU time"):
        rendered(source)


def test_what_a_template_refuses_is_the_users_matter_and_cannot_steer_a_terminal() -> None:
    with pytest.raises(UsageError) as refusal:
        rendered("{{ raise_exception('roles must\\nalternate \\u001b[31m!') }}")
    assert str(refusal.value) == (
        "the chat template refuses the messages: roles must alternate [31m!"
    )


def test_the_callers_folder_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jinja2.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert rendered("{{ messages[0].content }}") == "Hi"


@pytest.mark.parametrize(
    "messages",
    [
        [],
        ["Hi"],
        [{"content": "Hi"}],
        [{"role": 3}],
        [{"role": "user", "content": object()}],
        [{"role": "user", "content": b"Hi"}],
    ],
)
def test_messages_that_are_none_are_refused(messages: list[Any]) -> None:
    with pytest.raises(UsageError, match="message") as refusal:
        ChatTemplate(CHAT, {}).render(messages)
    assert "\n" not in str(refusal.value)


def test_a_template_in_the_tokenizers_config_is_found(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "model")
    template = json.loads((folder / "tokenizer_config.json").read_text())["chat_template"]
    assert open_checkpoint(str(folder)).text.chat_template == template
