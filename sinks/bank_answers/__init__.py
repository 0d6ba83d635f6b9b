"""What banks send back about payments, one format per file; `read.read_answers` is the door."""
