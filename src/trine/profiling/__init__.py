"""Where the time goes, and why.

In: a model to run (`trine.torch`), or a saved `profile.json`.
Out: a `Profile` (facts), and pure functions of it (`analysis`, `findings`).
Next: `trine.report` renders what is here and never measures.
"""
