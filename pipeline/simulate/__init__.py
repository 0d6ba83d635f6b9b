"""Realistic labelled traffic from a seed: people, bots, and what delivery does to their events.

The same number of events and the same seed give the same bytes. Everything is simulated:
addresses lie in real ranges (so that lists of data centres apply), the people do not exist.
"""
