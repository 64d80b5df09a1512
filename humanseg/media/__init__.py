"""What reading and writing share: the gate to FFmpeg, and colour."""
