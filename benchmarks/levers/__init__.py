"""The study of levers: each decision of ours switched alone, and the walk's k, depth and rounds."""
