"""Training of humanseg's networks on folders of pictures and masks."""
