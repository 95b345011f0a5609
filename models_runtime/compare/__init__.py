"""Comparison with golden photos: what deviates from normal, learnt without a single defect."""
