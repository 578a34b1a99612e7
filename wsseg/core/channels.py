"""The channels of an image: the colours of a picture, or several sequences on the same grid."""

from collections.abc import Sequence

from wsseg.errors import InputError, known_words

ONE_CHANNEL = ("image",)  # of an image that has one channel, without a name
RGB = ("red", "green", "blue")  # of a colour picture


def channel_index(channels: Sequence[str], name: str | None) -> int:
    """Return the position of a channel by its name; None: of the only one.

    Raises:
        InputError: There is no such channel, or `name` is None and there are several.
    """
    if name is None:
        if len(channels) == 1:
            return 0
        raise InputError(
            f"the image has {len(channels)} channels, {', '.join(channels)}; choose one with "
            "`channel`"
        )
    if name not in channels:
        raise InputError(f"the image has no channel {name!r}; {known_words(name, channels)}")
    return channels.index(name)


def displayed_channels(channels: Sequence[str]) -> tuple[int, ...]:
    """Return the positions of the channels that a figure shows: red, green and blue, or one."""
    return tuple(map(channels.index, RGB)) if set(RGB) <= set(channels) else (0,)
