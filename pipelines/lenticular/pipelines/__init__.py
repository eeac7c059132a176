"""Science: the simulated survey, instruments, algorithms, PipelineTasks and QuantumGraphs."""
