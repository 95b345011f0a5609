"""From an uploaded file to an upright sRGB photo, within limits. Knows no Django and no model."""
