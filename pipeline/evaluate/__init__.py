"""`viewledger models evaluate`: files with labels in, figures out."""
