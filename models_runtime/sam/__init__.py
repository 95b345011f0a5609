"""SAM: exactly which pixels, for a box or clicks on a photo."""
