"""`score`: views.raw → views.scored, one step per file."""
