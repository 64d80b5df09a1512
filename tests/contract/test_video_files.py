"""Reading and writing video files: times, sound, subtitles, colour, size and names are kept."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import (
    HEIGHT,
    WIDTH,
    Track,
    index_of,
    picture,
    read_video,
    turn_video,
)
from humanseg.errors import InputError, PartialError, SettingsError, SinkError
from humanseg.frames import ColorTags, Frame, StreamInfo
from humanseg.sinks.encoders import ENCODERS
from humanseg.sinks.video_file import VideoFileSink
from humanseg.sources.video_file import VideoFileSource

