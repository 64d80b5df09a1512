"""The page in the browser: live session and video files, for this machine's user only."""
