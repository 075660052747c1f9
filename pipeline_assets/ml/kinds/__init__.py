"""Kinds of target: what a label, a score, a metric, a baseline and a plot are; one package or module per kind."""
