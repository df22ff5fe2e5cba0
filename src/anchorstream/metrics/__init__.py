"""Scoring: events, matching, intervals, operating points and curves. numpy only."""
