"""Emulated instruments, each written from its protocol and never from our driver of it."""
