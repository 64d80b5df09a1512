"""A live session: webcam to virtual camera, until told to stop."""
