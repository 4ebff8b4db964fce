"""What playing is made of: texts, their history, and other voices to listen to; no widgets and no processes."""
