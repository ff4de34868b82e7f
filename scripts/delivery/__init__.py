"""What a release needs beside the images: the check of its tag, its notes, its bills of materials."""
