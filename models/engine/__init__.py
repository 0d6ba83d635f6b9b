"""The feature engine: past-only features of views over columns, block by block.

`table` declares the features, `families` says what has to be remembered for them. Of each block
`group` sorts the rows by entity, `summary` says what the block adds to each entity, `state` how
that merges into what was known, `store` keeps it; `gaps`, `windows` and `values` say what was known
before each row, `derive` makes the columns of it. `engine` goes through these steps.
"""
