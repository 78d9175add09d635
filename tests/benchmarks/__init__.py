"""What the package costs, measured side by side with what it stands on.

``python -m tests.benchmarks`` prints all of it, ``python -m tests.benchmarks engine`` a part.
Nothing here decides over success: a machine that does something else meanwhile makes every
number worse. Compare the medians and ratios of one run, never numbers of two runs.
"""
