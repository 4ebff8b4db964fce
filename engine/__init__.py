"""Reads corpora, trains, evaluates, samples and stores runs. Never imports a user interface."""
