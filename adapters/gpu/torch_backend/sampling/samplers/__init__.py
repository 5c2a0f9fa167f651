"""The samplers: one short generator function each. `registry` finds them by name."""
