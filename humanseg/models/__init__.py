"""The four networks, their ensemble, and the registry of trained weights."""
