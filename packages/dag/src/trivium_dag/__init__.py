"""Flows: YAML and JSON graphs of steps, driven by the core."""
