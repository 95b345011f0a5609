"""MLM: sentence embeddings for routing by meaning and for finding similar past cases."""
