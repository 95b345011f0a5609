"""SLM: triage. Rules set the bounds; a small language model reads the note and rates certainty."""
