"""The ground floor: what events, blocks, topics, tables and money look like."""
