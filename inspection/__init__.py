"""Loupe: visual inspection from a photo to a verdict, masks, a report and a ticket."""
