"""The three Faust apps: score, store and book, each its own consumer group."""
