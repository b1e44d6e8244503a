"""The data flow that the diagram draws, read off a run."""

from __future__ import annotations

from profile_builder import build_profile
from trine.report.facts import gather
from trine.report.plots.flow import Node, flow


def names(steps: list[list[list[Node]]]) -> list[list[list[str]]]:
    return [[[node.operator for node in branch] for branch in step] for step in steps]


def test_parallel_projections_and_joins_are_found() -> None:
    found = flow(gather(build_profile()).example_pass(), layer=2)
    assert names(found.before) == [[["embed_tokens"], ["rotary_emb"]]]
    assert names(found.layer) == [
        [["input_layernorm"]],
        [["q_proj"], ["k_proj"], ["v_proj"]],
        [["rope"]],
        [["kv_update"]],
        [["attention"]],
        [["attn_sub_norm"]],
        [["o_proj"]],
        [["attn_residual"]],
        [["post_attention_layernorm"]],
        [["gate_proj", "act_fn"], ["up_proj"]],
        [["gate_x_up"]],
        [["ffn_sub_norm"]],
        [["down_proj"]],
        [["mlp_residual"]],
    ]
    assert names(found.after) == [[["norm"]], [["lm_head"]], [["sampling"]]]


def test_no_records_no_flow() -> None:
    found = flow([], layer=0)
    assert (found.before, found.layer, found.after) == ([], [], [])
