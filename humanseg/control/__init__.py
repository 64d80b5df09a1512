"""What can be said to a running session, and how it gets there."""
