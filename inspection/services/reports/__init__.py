"""Reports for people outside: asked for, made by workers, sent, and how they look."""
