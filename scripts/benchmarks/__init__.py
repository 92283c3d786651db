"""What the scripts measure, one module for each subject."""
