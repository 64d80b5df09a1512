"""The humanseg command line."""
