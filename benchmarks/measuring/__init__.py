"""What several benchmarks measure with; not run itself."""
