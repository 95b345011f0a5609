"""What reports say: read once, as blocks that a page and a PDF are both drawn from."""
