"""Renderers of a Profile: CSV, JSON, Markdown, one HTML page, a Perfetto trace, the terminal.

In: a `Profile` (`trine.profiling`), or a foreign `raw_layer_data.csv` (`foreign`).
Out: files in a folder, the same figures in each; nothing here measures.
Next: a person reads them, or `trine.hw` takes the workload from `profile.json`.

    profile --> facts --> content --> document --> markdown, webpage
                  |                                    ^
                  |---> plots -------------------------'
                  '---> layer_csv, operator_csv, records_csv, summary_json, perfetto, console
"""
