"""Our engines behind an OpenAI-compatible HTTP API, so that one machine serves many workers."""
