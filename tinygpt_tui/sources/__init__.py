"""What the screens read and ask: runs, corpora, players. Nothing here knows how anything is drawn."""
