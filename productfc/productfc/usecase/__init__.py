"""The write actions of productfc, one file each."""
