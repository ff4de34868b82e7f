"""The write actions of userfc, one file each."""
