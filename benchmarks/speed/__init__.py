"""Time and memory of wsseg, compared with the limits of the machine and with other software."""
