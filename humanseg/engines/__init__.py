"""What runs the networks: torch, or OpenVINO where it is installed."""
