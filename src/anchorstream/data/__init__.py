"""From recordings, or from synthetic speech, to labelled streams."""
