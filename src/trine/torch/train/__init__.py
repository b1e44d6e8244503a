"""Quantisation-aware training of BitNet b1.58 on Hugging Face's own modules.

In: a folder of text files, or a checkpoint to go on from. Out: a Hugging Face directory that every
other command loads, its training state, log and loss plot. Next: `trine.checkpoint` packs it.
"""
