"""What the central system is compared with, each in a process of its own."""
