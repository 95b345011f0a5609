"""Statistics of quality control on counts: control charts, run rules, rates with intervals."""
