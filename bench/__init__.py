"""How fast it is, stage by stage and end to end: `python -m bench`, docs/performance.md."""
