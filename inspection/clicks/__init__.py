"""Click and box to mask: a process of its own, because the web process never loads a model.

``serve_clicks`` holds the segmenter and what it has seen of each photo; the web process asks it
over a socket. Nobody's work depends on it: while it is away, brush and polygon go on.
"""
