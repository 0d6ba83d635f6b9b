"""Erasing a viewer everywhere; see docs/erasure.md."""
