"""Learning from reviewers: a small correction of shipped models, fitted on a site's own verdicts.

The shipped weights stay as they are. What is learnt is a delta (``delta.py``) over what they said
and saw (``reading.py``), drawn towards no change by a prior (``ridge.py``), so that without labels
nothing changes and few labels change little. Numpy only; no Django.
"""
