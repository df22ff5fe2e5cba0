"""Where anchors come from when nobody wrote them down."""
