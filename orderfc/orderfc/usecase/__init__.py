"""The write actions of orderfc, one file each."""
