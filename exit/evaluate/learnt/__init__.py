"""Models fitted to what an agent does: the only place that knows scikit-learn."""
