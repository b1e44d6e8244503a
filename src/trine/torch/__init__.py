"""Hugging Face BitNet models in PyTorch. Optional: needs the "torch" extra.

In: a `Checkpoint`. Out: `BitNetForCausalLM` in one of three modes, weights filled in place.
Next: `trine.profiling.torch_backend` runs it under the recorder.
"""
