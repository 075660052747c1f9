"""Trainers, which fit models: one module per package, with one interface."""
