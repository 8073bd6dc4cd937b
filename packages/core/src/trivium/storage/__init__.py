"""Stores: the port, the in-memory one, and opening one by its URL."""
