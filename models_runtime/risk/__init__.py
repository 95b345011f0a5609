"""The risk dial: thresholds under which units pass without a person, chosen so that the escape rate
stays below what the quality manager states. No Django, no model library: numpy only.
"""
