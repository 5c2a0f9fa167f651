"""Plants small faults in the project, one at a time, and sees which of them the tests catch.

A fault that no test catches is a promise that nobody keeps watch over. See `__main__` for the
command line, `faults` for what is planted, `choosing` for which tests are run.
"""
