"""The data types of wsseg, and the interfaces of everything that a plugin can offer."""
