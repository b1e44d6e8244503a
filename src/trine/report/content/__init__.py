"""The report's content: one module per section, each a function of Facts and Words.

In: `Facts`, `Words`. Out: a `Document` in that language. Next: `markdown` and `webpage`.
All figures pass through `quantity`, all prose through `Words`, so two languages or two renderers
cannot disagree.
"""
