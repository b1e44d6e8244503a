"""The operators of a BitNet decoder: the NumPy truth, and the kernels that must equal it.

In: arrays and packed ternary weights. Out: arrays.
Next: `trine.model` chains them; the hardware's golden vectors come from the same reference.
"""
