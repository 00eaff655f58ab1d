"""What people run: the command line, the local cloud, checks of a deployed stage, benchmarks."""
