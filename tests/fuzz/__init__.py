"""Whatever comes in from outside, drawn by hypothesis: it is taken or refused in words, and nothing breaks."""
