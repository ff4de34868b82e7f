"""What userfc does, one file per action that changes something."""
