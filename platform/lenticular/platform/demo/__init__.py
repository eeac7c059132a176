"""The demo: a repository of simulated exposures in S3, reduced, with JupyterLab on it."""
