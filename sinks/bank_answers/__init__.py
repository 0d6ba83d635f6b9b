"""What banks send back about payments, one format a file; `read.read_answers` is the door."""
