"""The actions of productfc that change something, one file each."""
