"""VLM: a photo and a plan to attributes and located defects."""
