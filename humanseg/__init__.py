"""humanseg cuts people out of video."""

__version__ = "0.1.0"
