"""Running and serving: services, execution engines, runs and the command line."""
