"""The nouns of wsseg and the interfaces that plugins implement."""
