"""Training of the embedded models; run as modules, never imported by the engines."""
