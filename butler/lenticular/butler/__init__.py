"""Data repositories: opening, creating and reading them, without Jupyter and without tasks."""
